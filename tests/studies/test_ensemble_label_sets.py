"""Ensembles and soups of label sets: mean sigmoid probabilities, and thresholds of the whole, chosen on val."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from obverse import load
from obverse.bundle import read_bundle
from obverse.cli.main import app
from obverse.decisions import LabelSet, OneClass
from obverse.errors import DataError
from obverse.evaluation import Predictions
from obverse.experiment import start_run
from obverse.metrics import best_thresholds
from obverse.runs import RunFolder
from obverse.studies.ensemble import make_ensemble


@pytest.fixture(scope="module")
def runs(draw_label_sets, make_recipe, tmp_path_factory):
    """Two runs that differ by their seed; tests must not change them."""
    folder = tmp_path_factory.mktemp("members")
    data = draw_label_sets(folder / "data", num=40)
    for seed in (0, 1):
        training = {"epochs": 2, "seed": seed, "batch_size": 8, "micro_batch_size": 8}
        recipe = make_recipe(data={"labels": "multi"}, training=training, evaluation={"maps": 0})
        start_run(data, recipe, RunFolder(folder / f"seed-{seed}"))
    return [folder / "seed-0", folder / "seed-1"]


def predictions(path, split):
    return Predictions.read(RunFolder(path).evaluation(split))


def test_it_is_the_mean_of_the_members_at_thresholds_of_its_own(runs, tmp_path):
    joined = make_ensemble(runs, tmp_path / "joined", device="cpu")
    for split in ("val", "test"):
        wanted = np.mean([predictions(run, split).probabilities_NK for run in runs], axis=0)
        np.testing.assert_allclose(predictions(joined.folder, split).probabilities_NK, wanted, atol=2e-6)
    bundle, _ = read_bundle(joined.folder)
    val = predictions(joined.folder, "val")
    assert bundle.output.kind == "binary"
    assert bundle.output.thresholds == best_thresholds(val.truth, val.probabilities_NK)
    assert bundle.output.thresholds not in [read_bundle(run)[0].output.thresholds for run in runs]
    assert val.kind == predictions(joined.folder, "test").kind == LabelSet(bundle.output.thresholds)


def test_it_predicts_like_any_model(runs, tmp_path):
    result = CliRunner().invoke(
        app, ["ensemble", *map(str, runs), "--out", str(tmp_path / "joined"), "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    assert "test mAP" in result.output
    picture = next((runs[0].parent / "data").rglob("*.png"))
    alone = [load(run).predict(picture)[0].probabilities for run in runs]
    (together,) = load(tmp_path / "joined").predict(picture)
    for name, probability in together.probabilities.items():
        assert probability == pytest.approx((alone[0][name] + alone[1][name]) / 2, abs=2e-6)


def test_a_soup_of_a_run_and_its_copy_is_the_run(runs, tmp_path):
    import shutil

    shutil.copytree(runs[0], tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))
    soup = make_ensemble([runs[0], tmp_path / "copy"], tmp_path / "soup", soup=True, device="cpu")
    assert set(soup.kept) == {str(runs[0]), str(tmp_path / "copy")}
    for split in ("val", "test"):
        wanted = predictions(runs[0], split)
        np.testing.assert_allclose(predictions(soup.folder, split).probabilities_NK, wanted.probabilities_NK, atol=2e-6)
    first, whole = (read_bundle(path)[0].output.thresholds for path in (runs[0], soup.folder))
    assert whole == pytest.approx(first, abs=1e-5)


def test_a_member_that_gives_one_class_is_refused(runs, trained, tmp_path):
    with pytest.raises(DataError, match="kind of answer"):
        make_ensemble([runs[0], trained.path], tmp_path / "out", device="cpu")


@pytest.mark.parametrize("kind", [OneClass(), LabelSet()])
def test_mean_logits_are_of_the_mean_probability(kind):
    """Also where a probability is so near to 0 or 1 that its complement is lost in single precision."""
    members = [torch.tensor([[40.0, -40.0, 0.3]]), torch.tensor([[42.0, -38.0, -1.0]])]
    exact = torch.stack([kind.probabilities(z.double()) for z in members]).mean(0)
    found = kind.mean_logits(members)
    torch.testing.assert_close(kind.probabilities(found.double()), exact, rtol=1e-5, atol=0.0)
    if kind.is_set:  # 1 - p of the first class, from the logits
        rest = torch.stack([(-z.double()).sigmoid() for z in members]).mean(0)
        torch.testing.assert_close((-found.double()).sigmoid(), rest, rtol=1e-5, atol=0.0)
