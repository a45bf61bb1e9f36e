"""Checkpoints of one process, DDP and FSDP resume each other inside an epoch, the same way of sharing exactly."""

import shutil

import pytest
import torch

pytestmark = pytest.mark.xdist_group("ranks")
CLOSE = {"atol": 1e-6, "rtol": 1e-5}
STOP = 7
KINDS = ("plain", "ddp", "fsdp")
EXACT = {
    "model": {"head": {"hidden": [6], "dropout": 0.4}},
    "augment": {"policy": "generic", "view_dropout": 0.3},
    # At a higher rate what each processor rounds otherwise adds up to more than the bounds.
    "optim": {"kind": "sgd", "lr": 0.005},
    "training": {"epochs": 3, "ema_decay": 0.8, "select": "loss"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=13, views=("obverse", "reverse"))


@pytest.fixture(scope="module")
def run(ranks, alone, make_recipe, data):
    """Train in one of the three ways; the main process's answer."""

    def run(kind, folder, *, dropout=0.0, **hooks):
        sections = EXACT | {"model": {"head": {"hidden": [6], "dropout": dropout}}}
        distributed = "auto" if kind == "plain" else kind
        arguments = {"data": data, "recipe": make_recipe(**sections, runtime={"distributed": distributed}),
                     "folder": folder, "blocks": 1, **hooks}  # fmt: skip
        return alone.train(**arguments) if kind == "plain" else ranks.train(**arguments)[0]

    return run


@pytest.fixture(scope="module")
def uninterrupted(run, tmp_path_factory):
    return run("plain", tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def stopped(run, tmp_path_factory):
    """A folder of checkpoints for each way, stopped in the second epoch."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        answer = run(kind, folder, stop=(0, STOP))
        assert answer["error"][:2] == ("Interrupted", 143)
        assert answer["progress"]["step"] == STOP
        assert 0 < answer["progress"]["batch"] < 5
    return folders


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_each_resumes_each(run, uninterrupted, stopped, tmp_path, first, second):
    folder = shutil.copytree(stopped[first], tmp_path / "run")
    answer = run(second, folder, resume=True)
    torch.testing.assert_close(answer["tensors"], uninterrupted["tensors"], **CLOSE)
    torch.testing.assert_close(answer["optimizer"]["state"], uninterrupted["optimizer"]["state"], **CLOSE)
    assert answer["progress"]["best_step"] == uninterrupted["progress"]["best_step"]
    assert (answer["notes"] == []) == ((first == "plain") == (second == "plain"))


def test_the_three_ways_write_the_same_files(stopped):
    files = {kind: {path.name for path in next(folder.glob("step-*")).iterdir()} for kind, folder in stopped.items()}
    assert files["ddp"] == files["fsdp"] == files["plain"] | {"random-1.safetensors"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [(0, 3), pytest.param((0, 4), marks=pytest.mark.full),
                                  pytest.param((0, 5), marks=pytest.mark.full)])  # fmt: skip
def test_with_as_many_processes_resume_is_exact_dropout_included(run, tmp_path, kind, stop):
    whole = run(kind, tmp_path / "whole", dropout=0.4)
    run(kind, tmp_path / "run", dropout=0.4, stop=stop)
    answer = run(kind, tmp_path / "run", dropout=0.4, resume=True)
    torch.testing.assert_close(answer["tensors"], whole["tensors"], atol=0, rtol=0)
    torch.testing.assert_close(answer["optimizer"]["state"], whole["optimizer"]["state"], atol=0, rtol=0)
    assert answer["optimizer"]["param_groups"] == whole["optimizer"]["param_groups"]
    assert torch.equal(answer["random"], whole["random"])
    assert whole["losses"][stop[1] :] == answer["losses"]


def test_plain_sgd_has_no_state_and_resumes_too(ranks, make_recipe, data, tmp_path):
    recipe = make_recipe(optim={"kind": "sgd", "lr": 0.05, "momentum": 0.0})
    whole, _ = ranks.train(data=data, recipe=recipe, folder=tmp_path / "whole")
    ranks.train(data=data, recipe=recipe, folder=tmp_path / "run", stop=(1, 3))
    answer, _ = ranks.train(data=data, recipe=recipe, folder=tmp_path / "run", resume=True)
    torch.testing.assert_close(answer["tensors"], whole["tensors"], atol=0, rtol=0)
