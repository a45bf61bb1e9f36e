"""The table of metrics: what everything that measures, chooses or compares reads."""

import math
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from obverse import metrics
from obverse.errors import RecipeError
from obverse.metrics import LabelSets, OneLabel, Units
from obverse.recipe import load_criteria, load_recipe
from obverse.recipe.files import recipe_schema


def one_label(num=1500, num_classes=7, *, ordered=True, seed=0):
    generator = np.random.default_rng(seed)
    labels_N = generator.integers(0, num_classes, num)
    drawn_NK = generator.dirichlet(np.ones(num_classes), num)
    drawn_NK[np.arange(num), labels_N] += generator.random(num) < 0.5
    probabilities_NK = (drawn_NK / drawn_NK.sum(axis=1, keepdims=True)).astype(np.float32)
    return OneLabel(labels_N, probabilities_NK.argmax(axis=1), probabilities_NK, Units.alone(num), ordered)


def label_sets(num=150, num_classes=4, *, seed=0):
    generator = np.random.default_rng(seed)
    truth_NK = generator.random((num, num_classes)) < 0.3
    probabilities_NK = (1 / (1 + np.exp(-generator.normal(np.where(truth_NK, 0.8, -0.8), 1)))).astype(np.float32)
    return LabelSets(truth_NK, probabilities_NK >= 0.5, probabilities_NK, Units.alone(num))


def repeated(answers, times_N):
    """The answers with each sample as often as `times_N` says."""
    arrays = {field.name: getattr(answers, field.name) for field in fields(answers)}
    again = {name: np.repeat(each, times_N, axis=0) for name, each in arrays.items() if isinstance(each, np.ndarray)}
    return replace(answers, **again, units=Units.alone(int(times_N.sum())))


MADE = [(metric, one_label()) for metric in metrics.ONE_LABEL] + [(m, label_sets()) for m in metrics.LABEL_SETS]


@pytest.mark.parametrize(("metric", "answers"), MADE, ids=lambda part: getattr(part, "name", type(part).__name__))
def test_every_metric_has_a_value_in_its_range_and_an_interval_around_it(metric, answers):
    value, ends = metric.value(answers), metric.interval(answers)
    assert ends.low < value < ends.high
    if metric.bounds:
        assert metric.bounds[0] <= ends.low
        assert ends.high <= metric.bounds[1]


@pytest.mark.parametrize(("metric", "answers"), MADE, ids=lambda part: getattr(part, "name", type(part).__name__))
def test_what_resampling_uses_gives_the_value(metric, answers):
    measure = metric.one_label if isinstance(answers, OneLabel) else metric.label_sets
    if measure.of_counts:
        num = len(answers.probabilities_NK)
        weights_RN = np.random.default_rng(0).multinomial(num, np.full(num, 1 / num), size=3)
        weights_RN[1] = 1
        scores_R = measure.of_counts(answers.counted(weights_RN))
        assert scores_R[1] == metric.value(answers)
        # A resample scores as if its samples stood there as often as they count.
        for weights_N, score in zip(weights_RN, scores_R, strict=True):
            assert score == pytest.approx(metric.value(repeated(answers, weights_N)), rel=1e-12)
    if measure.of_samples:
        assert measure.of_samples(answers).mean() == pytest.approx(metric.value(answers), rel=1e-12)
    if metric.is_compared:
        assert measure.of_counts or measure.of_samples
    if measure.per_class:
        assert metric.value(answers) == pytest.approx(np.nanmean(measure.per_class(answers)), rel=1e-12)


def test_names_are_of_one_metric_for_each_kind_of_data():
    for table in (metrics.ONE_LABEL, metrics.LABEL_SETS):
        names = [name for metric in table for name in metric.names]
        assert len(set(names)) == len(names)
    places = [(metric.block, metric.key or metric.name) for metric in metrics.TABLE]
    assert len(set(places)) == len(places)
    assert [table[0].name for table in (metrics.ONE_LABEL, metrics.LABEL_SETS)] == ["accuracy", "map"]


@pytest.mark.parametrize("name", metrics.NAMES)
def test_recipes_and_criteria_know_every_compared_metric(name, tmp_path):
    assert load_recipe("auto", [f"training.select={name}"]).training.select == name
    (tmp_path / "criteria.yaml").write_text(f"criteria: [{{name: a, metric: {name}, above: 0.5}}]")
    assert load_criteria(tmp_path / "criteria.yaml")[0].metric == name


def test_other_names_are_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(RecipeError, match=r"`training\.select`: 'auto', 'accuracy', .*given: \"acuracy\""):
        load_recipe("auto", ["training.select=acuracy"])
    (tmp_path / "criteria.yaml").write_text("criteria: [{name: a, metric: auto, above: 0.5}]")
    with pytest.raises(RecipeError, match=r"metric`: 'accuracy', .*given: \"auto\""):
        load_criteria(tmp_path / "criteria.yaml")
    with pytest.raises(RecipeError, match="top_3_accuracy"):
        load_recipe("auto", ["training.select=top_3_accuracy"])


def test_the_schema_lists_the_names():
    schema = recipe_schema()["$defs"]["TrainingSpec"]["properties"]["select"]
    assert schema["enum"] == ["auto", *metrics.NAMES]
    assert schema["default"] == "auto"


def test_a_recipe_is_imported_without_numpy():
    code = "import sys, obverse.recipe; print(sorted({'numpy', 'obverse.metrics'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_does_not_apply_is_left_out():
    unordered, few = one_label(ordered=False), one_label(num_classes=3)
    left_out = {m.name for m in metrics.ONE_LABEL if not m.applies_to(unordered)}
    assert left_out == {"mean_absolute_error", "within_one", "quadratic_kappa"}
    assert {m.name for m in metrics.ONE_LABEL if not m.applies_to(few)} == {"top_3_accuracy", "top_5_accuracy"}
    assert not any(m.applies_to(label_sets()) for m in metrics.TABLE if not m.label_sets)


def test_directions_and_other_names():
    assert {"loss", "log_loss", "mae", "mean_absolute_error", "hamming_loss"} <= metrics.LOWER_IS_BETTER
    assert "accuracy" not in metrics.LOWER_IS_BETTER
    assert metrics.metric_of("accuracy", label_sets=True).name == "subset_accuracy"
    assert metrics.metric_named("balanced_accuracy", label_sets=True) is None
    assert not math.isnan(metrics.metric_of("mae").value(one_label()))


def test_the_reference_lists_every_metric_with_its_kinds_and_direction():
    page = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    for metric in metrics.TABLE:
        names = {f"`{name}`" for name in metric.names}
        row = next(row for row in rows if names <= set(row[0].split(", ")))
        kind = "ordered" if "order" in metric.needs else "yes"
        assert row[1:3] == [kind if metric.one_label else "", "yes" if metric.label_sets else ""]
        assert row[3:5] == ["yes" if metric.is_compared else "", metric.better]
