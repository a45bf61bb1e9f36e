"""Ensembles and soups of real runs: measured on samples that no member was trained on, and never worse on val."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.bundle import read_bundle, write_bundle
from obverse.errors import DataError, OutputError
from obverse.evaluation import Predictions
from obverse.experiment import start_run
from obverse.inference import load
from obverse.runs import RunFolder
from obverse.studies.ensemble import make_ensemble, mean_state


@pytest.fixture(scope="module")
def runs(draw_classes, make_recipe, tmp_path_factory):
    """Two runs that differ by their seed; tests must not change them."""
    folder = tmp_path_factory.mktemp("members")
    data = draw_classes(folder / "data", classes=("dark", "gray", "light"), per_class=10)
    paths = []
    for seed in (0, 1):
        recipe = make_recipe(training={"epochs": 1, "seed": seed, "select": "loss"}, evaluation={"maps": 2})
        start_run(data, recipe, RunFolder(folder / f"seed-{seed}"))
        paths.append(folder / f"seed-{seed}")
    return paths


def probabilities(path, split="test"):
    return Predictions.read(RunFolder(path).evaluation(split)).probabilities_NK


def test_probabilities_are_averaged_and_it_predicts_like_any_model(runs, tmp_path):
    joined = make_ensemble(runs, tmp_path / "joined")
    for split in ("val", "test"):
        wanted = np.mean([probabilities(run, split) for run in runs], axis=0)
        np.testing.assert_allclose(probabilities(joined.folder, split), wanted, atol=2e-6)
    assert set(joined.metrics) == {"val", "test"}
    assert (joined.folder / "evaluation/test/attention_maps/000000.png").is_file()
    picture = next((runs[0].parent / "data/dark").iterdir())
    alone = [dict(load(run).predict(picture)[0].top) for run in runs]
    (together,) = load(joined.folder).predict(picture)
    for name, probability in together.top:
        assert probability == pytest.approx(sum(top[name] for top in alone) / 2, abs=2e-6)
    assert make_ensemble(runs, tmp_path / "joined").kept == joined.kept


def test_a_soup_takes_in_what_helps_and_nothing_else(runs, tmp_path):
    """A run beside a copy with spoilt weights: alone it stays; beside a copy of itself both stay."""
    spoilt, copy = tmp_path / "spoilt", tmp_path / "copy"
    for target in (spoilt, copy):
        clone(runs[0], target)
    bundle, model = read_bundle(spoilt)
    noise = torch.Generator().manual_seed(0)
    state = {
        name: tensor + 3 * torch.randn(tensor.shape, generator=noise) if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    write_bundle(spoilt / "bundle", bundle, {name: tensor.abs() for name, tensor in state.items()})
    joined = make_ensemble([spoilt, runs[0], copy], tmp_path / "soup", soup=True)
    assert str(spoilt) not in joined.kept
    assert set(joined.kept) == {str(runs[0]), str(copy)}
    np.testing.assert_allclose(probabilities(joined.folder), probabilities(runs[0]), atol=2e-6)
    whole, _ = read_bundle(joined.folder)
    assert whole.members == ()
    told = json.loads((joined.folder / "ensemble.json").read_text())
    assert [member["kept"] for member in told["members"]] == [False, True, True]


def clone(run, target):
    """The parts of a run that an ensemble reads."""
    import shutil

    shutil.copytree(run, target, ignore=shutil.ignore_patterns("checkpoints"))


def test_a_mean_of_weights_is_the_mean():
    states = [
        {"w": torch.tensor([1.0, 3.0]), "n": torch.tensor(4)},
        {"w": torch.tensor([2.0, 5.0]), "n": torch.tensor(9)},
    ]
    found = mean_state(states)
    torch.testing.assert_close(found["w"], torch.tensor([1.5, 4.0]))
    assert found["n"] == 4


def test_members_on_other_test_samples_are_refused(runs, draw_classes, make_recipe, tmp_path):
    other = RunFolder(tmp_path / "other")
    recipe = make_recipe(data={"split": {"seed": 5}}, training={"epochs": 1}, evaluation={"maps": 0})
    start_run(runs[0].parent / "data", recipe, other)
    with pytest.raises(DataError, match="different test samples"):
        make_ensemble([runs[0], other.path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_results_are_named(runs, tmp_path):
    clone(runs[0], tmp_path / "other")
    (tmp_path / "other/evaluation/val/probabilities.npy").write_bytes(b"")
    with pytest.raises(DataError, match="results that do not belong together") as error:
        make_ensemble([runs[1], tmp_path / "other"], tmp_path / "out")
    assert str(error.value).count(str(tmp_path / "other/evaluation/val")) == 1


def test_members_that_do_not_fit_are_refused(runs, trained, tmp_path):
    with pytest.raises(DataError, match=r"differ in classes, views$"):
        make_ensemble([runs[0], trained.path], tmp_path / "out")
    clone(runs[0], tmp_path / "other")
    bundle, model = read_bundle(runs[0])
    write_bundle(tmp_path / "other/bundle", replace(bundle, std=(0.3, 0.3, 0.3)), model.state_dict())
    with pytest.raises(DataError, match="differ in normalisation"):
        make_ensemble([runs[0], tmp_path / "other"], tmp_path / "out", soup=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("")
    with pytest.raises(OutputError, match="holds no ensemble"):
        make_ensemble(runs, tmp_path / "full")
