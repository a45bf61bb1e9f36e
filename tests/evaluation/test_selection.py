"""Every compared metric can choose the epoch, with the value that a report of the same outputs would give."""

import numpy as np
import pytest

from obverse import metrics
from obverse.decisions import LabelSet, OneClass, to_probabilities
from obverse.evaluation import Predictions, is_better, measure, selection_value

IDS = tuple(map(str, range(80)))


@pytest.mark.parametrize("name", [name for metric in metrics.compared() for name in metric.names])
def test_of_one_class_per_sample(name):
    generator = np.random.default_rng(0)
    labels_N = generator.integers(0, 4, 80)
    logits_NK = (generator.normal(size=(80, 4)) + np.eye(4)[labels_N]).astype(np.float32)
    value = selection_value(name, logits_NK, labels_N)
    shown = Predictions(
        split="val",
        classes=tuple("abcd"),
        ids=IDS,
        truth=labels_N,
        probabilities_NK=to_probabilities(logits_NK, OneClass()),
        kind=OneClass(ordered=True),
    )
    measured = measure(shown)
    assert value == pytest.approx(measured[metrics.metric_of(name).name].value, rel=1e-6)
    perfect_NK = 20 * np.eye(4, dtype=np.float32)[labels_N]
    assert is_better(name, selection_value(name, perfect_NK, labels_N), value)


@pytest.mark.parametrize("name", [n for m in metrics.compared(label_sets=True) for n in m.names])
def test_of_label_sets(name):
    generator = np.random.default_rng(0)
    truth_NK = generator.random((80, 3)) < 0.4
    logits_NK = generator.normal(truth_NK * 1.5 - 0.9, 1).astype(np.float32)
    metric = metrics.metric_of(name, label_sets=True)
    probabilities_NK = to_probabilities(logits_NK, LabelSet())
    best = metrics.best_thresholds(truth_NK, probabilities_NK) if "thresholds" in metric.needs else None
    shown = Predictions(
        split="val",
        classes=tuple("abc"),
        ids=IDS,
        truth=truth_NK,
        probabilities_NK=probabilities_NK,
        kind=LabelSet(best),
    )
    value = selection_value(name, logits_NK, truth_NK, LabelSet())
    assert value == pytest.approx(measure(shown)[metric.name].value, rel=1e-6)
    perfect_NK = np.where(truth_NK, 20, -20).astype(np.float32)
    assert is_better(name, selection_value(name, perfect_NK, truth_NK, LabelSet()), value)
