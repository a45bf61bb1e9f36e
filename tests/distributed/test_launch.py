"""What a launcher says, and which launches are refused before anything starts."""

import json

import pytest
import torch

from obverse.cpus import num_usable_cpus
from obverse.errors import RecipeError, UnavailableError
from obverse.experiment import start_run
from obverse.experiment.setup import require_launch
from obverse.launch import Launch, launched
from obverse.runs import RunFolder
from obverse.runtime import resolve_device, shard, unsharded_order

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "here", "MASTER_PORT": "1", "TORCHELASTIC_RESTART_COUNT": "1", "TORCHELASTIC_MAX_RESTARTS": "5",
    "TORCHELASTIC_RUN_ID": "job",
}  # fmt: skip


@pytest.fixture
def ranks_of(monkeypatch):
    """Set the environment of a launcher."""

    def launch(**changes):
        for name, value in (TORCHRUN | changes).items():
            monkeypatch.setenv(name, str(value))

    return launch


def test_a_launch_is_read_from_the_environment():
    assert launched({}) == Launch()
    assert launched({"WORLD_SIZE": "1", "RANK": "7"}) == Launch()
    assert launched(TORCHRUN) == Launch(3, 4, 1, 2, 2, 1, 5, "job")
    assert launched(TORCHRUN | {"TORCHELASTIC_RUN_ID": "none"}).id is None
    assert not launched(TORCHRUN).is_main
    assert Launch().is_main


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RANK": "4"}, "RANK is 4, but WORLD_SIZE is 4"),
        ({"WORLD_SIZE": "four"}, "WORLD_SIZE is 'four', which is no number"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK is '-1'"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(changes, words):
    with pytest.raises(RecipeError, match=words):
        launched(TORCHRUN | changes)


def test_half_an_environment_is_refused():
    with pytest.raises(RecipeError, match="RANK, MASTER_ADDR, MASTER_PORT is not set; start with torchrun"):
        launched({"WORLD_SIZE": "2"})


@pytest.mark.parametrize(("batch_size", "multiple"), [(12, 8), (4, 8), (7, 8)])
def test_a_batch_that_cannot_be_shared_is_refused(ranks_of, make_recipe, batch_size, multiple):
    ranks_of()
    recipe = make_recipe(training={"batch_size": batch_size, "micro_batch_size": 1})
    with pytest.raises(RecipeError, match=f"give a multiple of {multiple}"):
        require_launch(recipe)
    require_launch(make_recipe(training={"batch_size": 16, "micro_batch_size": 16}))


def test_a_batch_that_is_chosen_can_be_shared(ranks_of, make_recipe, draw_classes, tmp_path):
    from obverse.experiment.auto.resolve import resolve
    from obverse.manifest import build_index

    ranks_of(WORLD_SIZE=3, RANK=0)
    recipe = make_recipe(training={"batch_size": "auto", "micro_batch_size": "auto"})
    resolved = resolve(recipe, build_index(draw_classes(tmp_path), recipe.data)).recipe
    assert resolved.training.batch_size == 12
    assert resolved.runtime.distributed == "ddp"


def test_fsdp_on_one_process_is_refused_and_leaves_nothing(make_recipe, draw_classes, tmp_path):
    recipe = make_recipe(runtime={"distributed": "fsdp"})
    with pytest.raises(RecipeError, match="fsdp has no effect on one process"):
        start_run(draw_classes(tmp_path / "data"), recipe, RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_each_process_has_its_own_gpu_or_is_told_how_many_there_are(ranks_of, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    ranks_of()
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda", 1)
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(RecipeError, match="device `cuda:0` is one, and 4 processes were started"):
        resolve_device("cuda:0")
    ranks_of(LOCAL_WORLD_SIZE=4)
    with pytest.raises(UnavailableError, match=r"4 processes .* sees 2 CUDA .* --nproc-per-node 2"):
        resolve_device("cuda")


def test_processes_of_one_machine_share_its_processors(ranks_of):
    alone = num_usable_cpus()
    ranks_of()
    assert num_usable_cpus() == max(1, alone // 2)


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 8, 100])
def test_what_was_dealt_comes_back_in_order(world_size, batch_size):
    whole = list(range(37))
    batches = [whole[start : start + batch_size] for start in range(0, len(whole), batch_size)]
    shares = [
        [[i for i, ok in shard(batch, rank=rank, world_size=world_size) if ok] for batch in batches]
        for rank in range(world_size)
    ]
    gathered = [i for share in shares for batch in share for i in batch]
    assert [gathered[place] for place in unsharded_order([list(map(len, share)) for share in shares])] == whole


@pytest.mark.parametrize(
    ("launch", "is_ours"),
    [
        (Launch(), False),
        (Launch(id="job"), True),
        (Launch(id="other"), False),
        (Launch(num_restarts=1), True),
    ],
)
def test_a_run_is_gone_on_with_by_the_launch_that_began_it(tmp_path, launch, is_ours):
    run = RunFolder(tmp_path)
    assert not run.began_under(launch)
    run.write_json("environment.json", {"launch": {"id": "job"}})
    assert not run.began_under(launch)
    run.recipe.write_text("")
    assert run.began_under(launch) is is_ours


def test_a_new_run_says_who_began_it(trained):
    launch = json.loads((trained.path / "environment.json").read_text())["launch"]
    assert (launch["rank"], launch["world_size"], launch["id"]) == (0, 1, None)
