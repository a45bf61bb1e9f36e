"""k folds: every sample is predicted once, by the model that never trained on it."""

import base64
import csv
import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from obverse.errors import BusyError, DivergedError, RecipeError
from obverse.evaluation import Predictions
from obverse.runs import RunFolder
from obverse.studies.folds import mean_predictions, run_folds


def splits(run):
    with (run / "manifest.csv").open(newline="") as file:
        return {row["id"]: row["split"] for row in csv.DictReader(file)}


@pytest.fixture
def data(draw_classes, tmp_path):
    return draw_classes(tmp_path / "data", per_class=9)


@pytest.fixture
def recipe(make_recipe):
    return make_recipe(training={"epochs": 1}, evaluation={"maps": 0})


def test_every_sample_is_predicted_once_by_a_model_that_never_saw_it(data, recipe, tmp_path):
    found = run_folds(data, recipe, tmp_path / "out", folds=3)
    pooled = Predictions.read(tmp_path / "out/evaluation/out-of-fold")
    assert len(pooled.ids) == len(set(pooled.ids)) == 18
    place = {name: row for row, name in enumerate(pooled.ids)}
    for fold in range(3):
        run = tmp_path / f"out/fold-{fold}"
        held = Predictions.read(run / "evaluation/val")
        split = splits(run)
        assert "test" not in split.values()
        assert {name for name, its in split.items() if its == "val"} == set(held.ids)
        rows = [place[name] for name in held.ids]
        np.testing.assert_array_equal(pooled.probabilities_NK[rows], held.probabilities_NK)
    accuracy = float((pooled.answers == pooled.truth).mean())
    assert found.metrics["out-of-fold"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert set(found.metrics) == {"out-of-fold"}
    summary = (tmp_path / "out/evaluation/out-of-fold/summary.md").read_text()
    assert "never trained on it" in summary
    assert (
        "| calibration | fold 1: none: val has too few samples (6 independent ones; 8 are needed); fold 2:" in summary
    )
    # Slices, filters and pictures are those of a single run's report; a fold is a slice, too.
    slices = json.loads((tmp_path / "out/evaluation/out-of-fold/metrics.json").read_text())["slices"]
    assert slices["measure"] == "error"
    page = (tmp_path / "out/evaluation/out-of-fold/report.html").read_text()
    assert page.count("data:image/webp") + page.count("\nUklGR") > 0
    packed = re.search(r'id="predictions"[^>]*>([^<]+)<', page)[1]
    facets = json.loads(
        gzip.decompress(base64.b64decode(packed))[4:].split(b"}]", 1)[0].partition(b'"facets": ')[2] + b"}]"
    )
    assert [facet["values"] for facet in facets if facet["name"] == "split"] == [
        [f"of split fold {n}" for n in (1, 2, 3)]
    ]
    before = (tmp_path / "out/fold-0/bundle/model.safetensors").stat().st_mtime_ns
    run_folds(data, recipe, tmp_path / "out", folds=3)
    assert (tmp_path / "out/fold-0/bundle/model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RecipeError, match="other settings"):
        run_folds(data, recipe, tmp_path / "out", folds=2)


def test_a_test_split_is_the_same_for_all_and_is_predicted_by_their_mean(data, make_recipe, tmp_path):
    recipe = make_recipe(
        data={"split": {"test": 0.3, "train": 0.5, "val": 0.2}}, training={"epochs": 1}, evaluation={"maps": 0}
    )
    held = RunFolder(tmp_path / "out/fold-1")
    held.claim()
    with pytest.raises(BusyError, match="1 of 2 folds"):
        run_folds(data, recipe, tmp_path / "out", folds=2)
    held.unlock()
    found = run_folds(data, recipe, tmp_path / "out", folds=2)
    tests = [Predictions.read(tmp_path / f"out/fold-{fold}/evaluation/test") for fold in range(2)]
    assert tests[0].ids == tests[1].ids
    mean = Predictions.read(tmp_path / "out/evaluation/test")
    wanted = (tests[0].probabilities_NK + tests[1].probabilities_NK) / 2
    np.testing.assert_allclose(mean.probabilities_NK, wanted, atol=1e-6)
    assert found.metrics["test"]["num_samples"] == len(mean.ids)
    pooled = Predictions.read(tmp_path / "out/evaluation/out-of-fold")
    assert "| calibration | fold 1: none: " in (tmp_path / "out/evaluation/test/summary.md").read_text()
    assert set(pooled.ids).isdisjoint(mean.ids)
    assert len(pooled.ids) + len(mean.ids) == 18


def test_the_mean_of_calibrated_models_is_calibrated_and_knows_what_was_before():
    generator = np.random.default_rng(0)
    after, before = (generator.dirichlet(np.ones(3), (2, 5)).astype(np.float32) for _ in range(2))
    runs = [
        Predictions(
            split="test", classes=tuple("abc"), ids=tuple("vwxyz"), truth=np.zeros(5, np.int64),
            probabilities_NK=after[fold], uncalibrated_NK=[before[0], None][fold],
        )
        for fold in range(2)
    ]  # fmt: skip
    runs[1] = runs[1].take(np.array([4, 3, 2, 1, 0]))
    mean = mean_predictions(runs)
    np.testing.assert_allclose(mean.probabilities_NK, after.mean(0), atol=1e-6)
    np.testing.assert_allclose(mean.uncalibrated_NK, (before[0] + after[1]) / 2, atol=1e-6)
    assert mean_predictions([replace(run, uncalibrated_NK=None) for run in runs]).uncalibrated_NK is None


def test_impossible_settings_may_be_corrected(data, make_recipe, tmp_path):
    options = {"training": {"epochs": 1}, "evaluation": {"maps": 0}}
    for _ in range(2):
        with pytest.raises(RecipeError, match=r"fold 1 of 2 failed.*classes with an order"):
            run_folds(data, make_recipe(loss={"kind": "emd"}, **options), tmp_path / "out", folds=2)
    found = run_folds(data, make_recipe(loss={"kind": "focal"}, **options), tmp_path / "out", folds=2)
    assert found.metrics["out-of-fold"]["num_samples"] == 18


def test_a_fold_that_diverged_says_so_each_time(data, make_recipe, tmp_path):
    recipe = make_recipe(training={"epochs": 1}, evaluation={"maps": 0}, optim={"lr": 1e30})
    for _ in range(2):
        with pytest.raises(DivergedError, match="fold 1 of 2 failed"):
            run_folds(data, recipe, tmp_path / "out", folds=2)
