"""Metrics of classes in grade order, from the distance between label and answer."""

from __future__ import annotations

import numpy as np

from obverse.metrics.answers import OneLabel
from obverse.metrics.intervals import Interval, ordinal_intervals, share_interval
from obverse.metrics.metric import Metric, from_confusion
from obverse.metrics.ordinal import mean_absolute_error, quadratic_kappa, within_one


def _interval(name: str, answers: OneLabel) -> Interval:
    intervals = ordinal_intervals(answers.labels_N, answers.given_N, answers.units, num_classes=answers.num_classes)
    return intervals[name]


METRICS = (
    Metric(
        name="mean_absolute_error",
        title="mean absolute error, in steps",
        unit="steps",
        better="lower",
        one_label=from_confusion(mean_absolute_error, lambda a: _interval("mean_absolute_error", a)),
        bounds=None,
        needs=frozenset({"order"}),
        decode="median",
        also=("mae",),
        block="ordinal",
    ),
    Metric(
        name="within_one",
        title="within one step",
        unit="share",
        better="higher",
        one_label=from_confusion(
            within_one, lambda a: share_interval(np.abs(a.labels_N - a.given_N) <= 1, a.units)
        ),
        needs=frozenset({"order"}),
        block="ordinal",
        is_compared=False,
    ),
    Metric(
        name="quadratic_kappa",
        title="quadratic kappa",
        unit="score",
        better="higher",
        one_label=from_confusion(quadratic_kappa, lambda a: _interval("quadratic_kappa", a)),
        bounds=(-1.0, 1.0),
        needs=frozenset({"order", "two classes"}),
        # Not the mean, although it has the least expected squared error: kappa divides by the disagreement by chance,
        # which falls as answers move to the middle, where means lie (`tests/experiment/test_answer_rule.py`).
        decode="median",
        block="ordinal",
    ),
)  # fmt: skip
