"""Studies of multi-label data: folds, sweeps, comparisons and criteria have the metrics of label sets."""

import csv
import json
import textwrap

import numpy as np
import pytest
from typer.testing import CliRunner

from obverse.bundle import find_bundle
from obverse.cli.main import app
from obverse.errors import DataError, RecipeError
from obverse.evaluation import Predictions
from obverse.manifest import read_manifest
from obverse.metrics import compared, mean_average_precision, set_macro_f1, set_scores
from obverse.recipe import Criterion, load_criteria, load_sweep
from obverse.studies.compare import compare, read_contender
from obverse.studies.criteria import check_criteria
from obverse.studies.folds import run_folds
from obverse.studies.sweep import Sweep

SETTINGS = {"training": {"epochs": 3, "batch_size": 8, "micro_batch_size": 8}, "evaluation": {"maps": 0}}
NAMES = [metric.name for metric in compared(label_sets=True)]


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_label_sets):
    return draw_label_sets(tmp_path_factory.mktemp("sets"), num=48)


@pytest.fixture(scope="module")
def folds(data, make_recipe, tmp_path_factory):
    """The folder of three folds, with a test split, and what was measured."""
    out = tmp_path_factory.mktemp("folds") / "out"
    recipe = make_recipe(data={"labels": "multi", "split": {"test": 0.25, "train": 0.5, "val": 0.25}}, **SETTINGS)
    return out, run_folds(data, recipe, out, folds=3).metrics


def parts(out, split="val"):
    return [Predictions.read(out / f"fold-{fold}" / "evaluation" / split) for fold in range(3)]


def test_every_sample_is_predicted_once_by_the_fold_that_never_saw_it(folds):
    out, _ = folds
    pooled = Predictions.read(out / "evaluation/out-of-fold")
    place = {name: row for row, name in enumerate(pooled.ids)}
    assert len(place) == 36
    for fold, held in enumerate(parts(out)):
        manifest = read_manifest(
            out / f"fold-{fold}/manifest.csv", root=out, classes=pooled.classes, views=("image",), ordered=False,
            multi_label=True,
        )  # fmt: skip
        assert {sample.id for sample in manifest.split("val")} == set(held.ids)
        rows = [place[name] for name in held.ids]
        np.testing.assert_array_equal(pooled.probabilities_NK[rows], held.probabilities_NK)
        np.testing.assert_array_equal(pooled.truth[rows], held.truth)
        # Each class is in every fold as often as in the others, within one.
        assert np.ptp([part.truth.sum(axis=0) for part in parts(out)], axis=0).max() <= 1


def test_pooled_answers_are_read_at_the_mean_of_the_thresholds(folds):
    out, metrics = folds
    pooled, found = Predictions.read(out / "evaluation/out-of-fold"), metrics["out-of-fold"]
    own = [part.kind.thresholds for part in parts(out)]
    assert len(set(own)) > 1
    assert pooled.kind.thresholds == pytest.approx(np.mean(own, axis=0))
    answers_NK = np.concatenate([part.probabilities_NK for part in parts(out)]) >= np.mean(own, axis=0)
    truth_NK = np.concatenate([part.truth for part in parts(out)])
    assert found["macro_f1"]["value"] == pytest.approx(set_macro_f1(set_scores(truth_NK, answers_NK)))
    wanted = mean_average_precision(truth_NK, pooled.probabilities_NK)
    assert found["map"]["value"] == pytest.approx(wanted)
    chosen = ["the best epoch of each fold", *(f"each fold's {what}" for what in ("calibration", "rule of sets"))]
    chosen.append("each fold's thresholds")
    assert found["seen"]["chosen"] == chosen
    summary = (out / "evaluation/out-of-fold/summary.md").read_text()
    each = [mean_average_precision(part.truth, part.probabilities_NK) for part in parts(out)]
    assert f"{', '.join(f'{value:.3f}' for value in each)}, mean {np.mean(each):.3f}" in summary
    assert "the mean of those that the folds have chosen on their val" in summary


def test_the_test_split_is_predicted_by_the_mean_of_the_folds(folds):
    out, metrics = folds
    mean, tests = Predictions.read(out / "evaluation/test"), parts(out, "test")
    wanted_NK = np.mean([part.probabilities_NK.astype(np.float64) for part in tests], axis=0)
    np.testing.assert_allclose(mean.probabilities_NK, wanted_NK, atol=1e-7)
    assert mean.kind == Predictions.read(out / "evaluation/out-of-fold").kind
    assert metrics["test"]["num_samples"] == 12


def test_the_verb_shows_the_headline_of_label_sets(folds, data, tmp_path):
    out, metrics = folds
    arguments = ["folds", str(data), "--folds", "3", "--out", str(out), "--recipe", str(tmp_path / "recipe.yaml")]
    condition = json.loads((out / "condition.json").read_text())["recipe"]
    condition["data"]["split"] = {"test": 0.25, "train": 0.5, "val": 0.25}
    (tmp_path / "recipe.yaml").write_text(json.dumps(condition))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    value = metrics["out-of-fold"]["map"]["value"]
    assert f"out-of-fold mean average precision (mAP) {value:.4f} (" in result.stdout
    assert "test mean average precision (mAP)" in result.stdout


STUDY = """
recipe: base.yaml
variants:
  slow: {optim.lr: 0.0001}
  fast: {}
seeds: [0, 1]
criteria:
- {name: ranks, runs: fast, metric: map, above: 0.2}
- {name: whole sets, runs: fast, metric: accuracy, above: 0.99}
- {name: faster, runs: fast, metric: loss, better_than: slow}
"""


@pytest.fixture(scope="module")
def study(data, make_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    recipe = make_recipe(data={"labels": "multi"}, **SETTINGS).model_dump(mode="json")
    (folder / "base.yaml").write_text(json.dumps(recipe))
    (folder / "study.yaml").write_text(textwrap.dedent(STUDY))
    sweep = Sweep(load_sweep(folder / "study.yaml"), folder / "study.yaml", data, folder / "out")
    return folder / "out", sweep.run()


def test_a_table_has_every_metric_of_label_sets(study):
    out, found = study
    assert found.state == "4 of 4 runs finished"
    with (out / "table.csv").open(newline="") as file:
        slow, fast = list(csv.DictReader(file))
    for name in NAMES:
        measured = [
            json.loads((out / f"runs/fast/seed-{seed}/evaluation/test/metrics.json").read_text())[name]["value"]
            for seed in (0, 1)
        ]
        assert float(fast[name]) == pytest.approx(np.mean(measured))
    assert float(fast["loss_difference"]) == pytest.approx(float(fast["loss"]) - float(slow["loss"]))
    assert fast["loss_p"]
    summary = (out / "summary.md").read_text()
    # Too few samples for a test of mAP, and for an interval of macro F1: the first metric that was tested is shown.
    assert "map is not compared: too few samples" in summary
    assert "differ in mean average precision" not in summary
    assert "difference in micro F1" in summary
    assert "## Mean average precision (mAP)" in summary
    assert (out / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def test_a_search_finds_what_ranks_best(data, study, tmp_path):
    pytest.importorskip("optuna")
    (tmp_path / "base.yaml").write_text((study[0].parent / "base.yaml").read_text())
    search = "search: {trials: 2, space: {optim.lr: {choices: [0.0001, 0.03]}}, sampler: random}"
    file = tmp_path / "search.yaml"
    file.write_text(
        f"recipe: base.yaml\nsettings: {{training.select: map, training.epochs: 1}}\nseeds: [0]\n{search}\n"
    )
    found = Sweep(load_sweep(file), file, data, tmp_path / "out").run()
    assert found.state == "2 of 2 runs finished"
    log = json.loads(next((tmp_path / "out/runs").glob("*/seed-0/training_log.json")).read_text())
    assert log["epochs"][0]["select"] == "map"


def test_criteria_of_label_sets_are_judged_by_their_metric(study):
    _, found = study
    ranks, whole, faster = found.verdicts
    assert ranks.is_met
    assert ranks.reason.startswith("map 0.")
    assert not whole.is_met
    assert "paired bootstrap over samples and seeds" in faster.reason


def test_a_criterion_about_a_metric_of_other_data_is_a_usage_error(study, tmp_path):
    out, _ = study
    (tmp_path / "criteria.yaml").write_text("criteria:\n- {name: c, metric: balanced_accuracy, above: 0}\n")
    runs = [str(out / f"runs/{name}/seed-0") for name in ("slow", "fast")]
    result = CliRunner().invoke(app, ["compare", *runs, "--criteria", str(tmp_path / "criteria.yaml")])
    assert isinstance(result.exception, RecipeError)
    assert "balanced_accuracy is for one class per sample" in str(result.exception)
    (tmp_path / "criteria.yaml").write_text("- {name: c, metric: map, above: 0}\n")
    with pytest.raises(RecipeError, match="the key `criteria:` is missing"):
        load_criteria(tmp_path / "criteria.yaml")


def test_a_search_by_a_metric_of_other_data_ends_before_its_first_trial(data, study, tmp_path):
    pytest.importorskip("optuna")
    (tmp_path / "base.yaml").write_text((study[0].parent / "base.yaml").read_text())
    file = tmp_path / "search.yaml"
    file.write_text(
        "recipe: base.yaml\nsettings: {training.select: balanced_accuracy}\n"
        "search: {trials: 2, space: {optim.lr: {choices: [0.0001, 0.03]}}}\n"
    )
    with pytest.raises(RecipeError, match="balanced_accuracy is for one class per sample"):
        Sweep(load_sweep(file), file, data, tmp_path / "out").run()
    assert not (tmp_path / "out/runs").exists()


def test_a_folder_of_folds_is_no_model(folds):
    out, _ = folds
    for read in (find_bundle, lambda path: read_contender(path, "val")):
        with pytest.raises(DataError, match="holds folds, each with a model of its own; give one of them"):
            read(out)


def test_two_runs_are_compared_with_all_metrics_and_the_samples_needed(study):
    out, _ = study
    sides = [read_contender(out / f"runs/{name}/seed-0", "val", name) for name in ("slow", "fast")]
    comparison = compare(sides, num_resamples=100)
    assert list(comparison.metrics) == NAMES
    assert comparison.rows[1].differences["subset_accuracy"].test == "exact McNemar"
    # Nine samples of val: too few of each class for a paired test of how they are ranked.
    assert not {"map", "auroc"} & set(comparison.rows[1].differences)
    assert "map is not compared: too few samples: 3 of 3 classes have fewer than 10" in comparison.sentences
    better = Criterion(name="b", runs="fast", metric="average_precision", better_than="slow")
    verdict = check_criteria([better], sides)[0]
    assert verdict.reason == "average_precision is not compared: too few samples: 3 of 3 classes have fewer than 10"
    result = CliRunner().invoke(app, ["compare", *(str(out / f"runs/{name}/seed-0") for name in ("slow", "fast"))])
    assert result.exit_code == 0, result.output
    assert "whole label sets only" in result.stdout
    assert "subset_accuracy" in result.stdout


def test_a_run_of_one_class_is_not_compared_with_label_sets(study, folds, data, draw_classes, make_recipe, tmp_path):
    from obverse.experiment import start_run
    from obverse.runs import RunFolder

    start_run(draw_classes(tmp_path / "data"), make_recipe(**SETTINGS), RunFolder(tmp_path / "run"))
    sides = [read_contender(tmp_path / "run", "test", "single"), read_contender(study[0] / "runs/fast/seed-0")]
    with pytest.raises(DataError, match="single gives one class per sample, and seed-0 any number"):
        compare(sides)
