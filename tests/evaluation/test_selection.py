"""Every compared metric can choose the epoch, with the value that a report of the same outputs would give."""

from dataclasses import replace

import numpy as np
import pytest

from obverse import metrics
from obverse.decisions import softmax, to_probabilities
from obverse.engines import Outputs
from obverse.evaluation import Predictions, SetPredictions, is_better, selected_value
from obverse.evaluation.label_sets.measure import measure_sets
from obverse.evaluation.one_class import measure
from obverse.recipe import OutputSpec

IDS = tuple(map(str, range(80)))


def outputs_of(labels_N, logits_NK, label_sets_NK=None):
    nothing_ND = np.zeros((80, 0), np.float32)
    return Outputs(IDS, labels_N, logits_NK.astype(np.float32), nothing_ND, (), label_sets_NK=label_sets_NK)


@pytest.mark.parametrize("name", [name for metric in metrics.COMPARED for name in metric.names])
def test_of_one_class_per_sample(name):
    generator = np.random.default_rng(0)
    labels_N = generator.integers(0, 4, 80)
    outputs = outputs_of(labels_N, generator.normal(size=(80, 4)) + np.eye(4)[labels_N])
    value = selected_value(name, outputs, OutputSpec())
    shown = Predictions(
        split="val",
        classes=tuple("abcd"),
        ids=IDS,
        labels_N=labels_N,
        probabilities_NK=softmax(outputs.logits_NK),
        ordered=True,
    )
    measured = measure(shown)
    assert value == pytest.approx(measured[metrics.metric_of(name).name].value, rel=1e-6)
    perfect = replace(outputs, logits_NK=20 * np.eye(4, dtype=np.float32)[labels_N])
    assert is_better(name, selected_value(name, perfect, OutputSpec()), value)


@pytest.mark.parametrize("name", [n for m in metrics.LABEL_SETS if m.is_compared for n in m.names])
def test_of_label_sets(name):
    generator, output = np.random.default_rng(0), OutputSpec(kind="binary")
    truth_NK = generator.random((80, 3)) < 0.4
    outputs = outputs_of(np.full(80, -1), generator.normal(truth_NK * 1.5 - 0.9, 1), truth_NK)
    metric = metrics.metric_of(name, label_sets=True)
    probabilities_NK = to_probabilities(outputs.logits_NK, output)
    best = metrics.best_thresholds(truth_NK, probabilities_NK) if "thresholds" in metric.needs else None
    shown = SetPredictions(
        split="val",
        classes=tuple("abc"),
        ids=IDS,
        label_sets_NK=truth_NK,
        probabilities_NK=probabilities_NK,
        thresholds=best,
    )
    value = selected_value(name, outputs, output)
    assert value == pytest.approx(measure_sets(shown)[metric.name].value, rel=1e-6)
    perfect = replace(outputs, logits_NK=np.where(truth_NK, 20, -20).astype(np.float32))
    assert is_better(name, selected_value(name, perfect, output), value)
