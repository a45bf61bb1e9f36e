"""The answer to ordered classes is the one that the metric of selection asks for."""

import json
import math

import numpy as np
import pytest
import torch

from obverse.decisions import OneClass, to_answers, to_probabilities
from obverse.evaluation import selection_value
from obverse.experiment import start_run
from obverse.experiment.auto.resolve import resolve
from obverse.manifest import build_index
from obverse.recipe import ORDINAL, build_recipe
from obverse.runs import RunFolder

GRADES = ("1", "2", "3", "4")


@pytest.fixture(scope="module")
def grades(draw_classes, tmp_path_factory):
    return draw_classes(tmp_path_factory.mktemp("grades"), classes=GRADES, per_class=8)


def resolved(data, order, **sections):
    recipe = build_recipe({"runtime": {"device": "cpu"}, "data": {"order": order}, **sections}, "test")
    found = resolve(recipe, build_index(data, recipe.data))
    return found.recipe.loss.decode, [line for line in found.reasons if line.startswith("answer:")]


@pytest.mark.parametrize(
    ("select", "decode"),
    [("auto", "median"), ("mae", "median"), ("mean_absolute_error", "median"), ("quadratic_kappa", "median"),
     ("accuracy", "mode"), ("macro_f1", "mode"), ("loss", "mode")],
)  # fmt: skip
@pytest.mark.parametrize("kind", sorted({"auto", "cross-entropy"} | ORDINAL - {"coral"}))
def test_the_rule_follows_the_metric_of_selection_whatever_the_loss(grades, select, decode, kind):
    found, (line,) = resolved(grades, GRADES, training={"select": select}, loss={"kind": kind})
    assert found == decode
    assert decode in line
    assert f"training.select is {'mae' if select == 'auto' else select};" in line


def test_coral_answers_by_its_own_rule(grades):
    found, (line,) = resolved(grades, GRADES, training={"select": "accuracy"}, loss={"kind": "coral"})
    assert found == "median"
    assert "because loss.kind is coral" in line


def test_a_rule_that_was_given_stays_without_a_word(grades):
    for decode in ("mode", "mean"):
        assert resolved(grades, GRADES, loss={"decode": decode}, training={"select": "mae"}) == (decode, [])


def test_classes_without_an_order_are_answered_by_the_mode_without_a_word(grades):
    assert resolved(grades, "none") == ("mode", [])


def graded(num_classes, noise, num=20_000):
    """Labels, and log probabilities that are true of them: a score is known up to noise and cut into grades.

    The lowest grade is the most frequent, so that the rules differ.
    """
    generator = np.random.default_rng(0)
    scores_N1, spread = generator.normal(size=(num, 1)), math.sqrt(1 + noise**2)
    cuts = torch.special.ndtri(torch.linspace(1, 0, num_classes + 1)[1:-1].double().square()).numpy() * spread
    below = torch.special.ndtr(torch.from_numpy((np.sort(cuts) - scores_N1) / noise)).numpy()
    probabilities_NK = np.diff(below, axis=1, prepend=0, append=1)
    labels_N = (probabilities_NK.cumsum(1)[:, :-1] < generator.random((num, 1))).sum(1)
    return labels_N, np.log(np.maximum(probabilities_NK, 1e-30)).astype(np.float32)


@pytest.mark.parametrize(("num_classes", "noise"), [(5, 1.0), (10, 0.7), (27, 0.4)])
def test_the_rule_of_a_metric_is_the_best_where_probabilities_are_true(num_classes, noise):
    labels_N, logits_NK = graded(num_classes, noise)

    def values(select):
        rules = ("mode", "median", "mean")
        return {rule: selection_value(select, logits_NK, labels_N, OneClass(rule, ordered=True)) for rule in rules}

    accuracy, error, kappa = (values(select) for select in ("accuracy", "mae", "quadratic_kappa"))
    assert max(accuracy, key=accuracy.__getitem__) == "mode"
    assert min(error, key=error.__getitem__) == "median"
    assert kappa["median"] > kappa["mean"]
    squares = {rule: np.square(_answers(logits_NK, rule) - labels_N).mean() for rule in error}
    assert min(squares, key=squares.__getitem__) == "mean"


def _answers(logits_NK, rule):
    kind = OneClass(rule, ordered=True)
    return to_answers(to_probabilities(logits_NK, kind), kind)


@pytest.fixture(scope="module")
def run(grades, make_recipe, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    recipe = make_recipe(
        data={"order": GRADES}, training={"epochs": 4, "select": "auto"}, loss={"kind": "auto", "decode": "auto"}
    )
    start_run(grades, recipe, folder)
    return folder


def test_epochs_are_chosen_by_the_answers_that_ship(run):
    """Mean absolute error of the medians in the log, in metrics.json and in the files."""
    log = json.loads((run.path / "training_log.json").read_text())
    folder = run.evaluation("val")
    labels_N, probabilities_NK = (np.load(folder / f"{name}.npy") for name in ("true_labels", "probabilities"))
    medians_N = (probabilities_NK.cumsum(1) < probabilities_NK.sum(1, keepdims=True) / 2).sum(1)
    assert (medians_N != probabilities_NK.argmax(1)).any(), "else the test tells nothing"
    assert np.load(folder / "predictions.npy").tolist() == medians_N.tolist()
    error = np.abs(medians_N - labels_N).mean()
    assert log["best_value"] == pytest.approx(error)
    assert json.loads((folder / "metrics.json").read_text())["ordinal"]["mean_absolute_error"]["value"] == error


def test_the_report_has_the_scores_by_every_rule_side_by_side(run):
    folder = run.evaluation("test")
    metrics = json.loads((folder / "metrics.json").read_text())
    labels_N, probabilities_NK = (np.load(folder / f"{name}.npy") for name in ("true_labels", "probabilities"))
    decoding = metrics["decoding"]
    assert decoding["used"] == "median"
    for rule, scores in decoding["scores"].items():
        steps_N = np.abs(to_answers(probabilities_NK, OneClass(rule, ordered=True)) - labels_N)
        assert scores["accuracy"] == pytest.approx((steps_N == 0).mean())
        assert scores["mean_absolute_error"] == pytest.approx(steps_N.mean())
        assert scores["within_one"] == pytest.approx((steps_N <= 1).mean())
    shipped = {"accuracy": metrics["accuracy"], **metrics["ordinal"]}
    assert decoding["scores"]["median"] == {name: estimate["value"] for name, estimate in shipped.items()}
    summary = (folder / "summary.md").read_text()
    assert "Answers by mode, median and mean" in summary
    assert f"| median (the answer) | {100 * metrics['accuracy']['value']:.1f} % |" in summary
