"""Metrics of the order in which each class's probabilities put the samples: they need no thresholds."""

from __future__ import annotations

from obverse.metrics.answers import LabelSets
from obverse.metrics.counts import FloatArray
from obverse.metrics.label_sets import Ranking, mean_average_precision
from obverse.metrics.metric import Measure, Metric


def _average_precisions(answers: LabelSets) -> FloatArray:
    return Ranking(answers.truth_NK, answers.probabilities_NK).average_precision()


METRICS = (
    Metric(
        name="map",
        title="mean average precision (mAP)",
        unit="score",
        better="higher",
        label_sets=Measure(
            value=lambda a: mean_average_precision(a.truth_NK, a.probabilities_NK),
            interval=lambda a: a.intervals["map"],
            per_class=_average_precisions,
            is_headline=True,
        ),
        needs=frozenset({"probabilities"}),
    ),
)
