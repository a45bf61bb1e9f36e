"""Loss of each sample by which slices are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from obverse.evaluation import Predictions
from obverse.metrics import FloatArray, Units, bounded_mean_interval, metric_named, share_interval

from .permutation import BoolArray

Measure = Literal["error", "steps", "overlap"]


@dataclass(frozen=True, eq=False)
class Losses:
    """One loss per labelled sample."""

    values_N: FloatArray

    measure: Measure
    """error: 1 for a wrong answer. steps: classes between answer and label. overlap: of label sets, 1 less the F1 of
    the answer and the truth."""

    most: float = 1.0
    """Largest possible loss."""

    @property
    def explained(self) -> str:
        """What the loss is, in words."""
        return {
            "error": "the share of wrong answers",
            "steps": "the mean distance of the answer from the label, in steps",
            "overlap": "how far label sets and answers differ (1 less the F1 of each sample)",
        }[self.measure]

    def mean(self, units: Units, rows_N: BoolArray) -> tuple[float, float, float]:
        """Mean loss of some samples with the ends of its 95 % interval."""
        values_M = self.values_N[rows_N]
        if self.measure == "error":
            ends = share_interval(values_M > 0, units.take(rows_N))
        else:
            ends = bounded_mean_interval(values_M, units.take(rows_N), bounds=(0.0, self.most))
        return float(values_M.mean()), ends.low, ends.high


def sample_losses(labelled: Predictions, select: str) -> Losses:
    """The loss of each sample that the selection metric is about.

    select: name of the metric. One that needs the order of classes, or `auto` on ordered classes, counts steps.
    """
    answers, truth = labelled.answers, labelled.truth
    if labelled.kind.is_set:
        both_N, size_N = (answers & truth).sum(axis=1), answers.sum(axis=1) + truth.sum(axis=1)
        return Losses(np.where(size_N > 0, 1 - 2 * both_N / np.maximum(1, size_N), 0.0), "overlap")
    metric = metric_named(select)
    counts_steps = metric is None or "order" in metric.needs
    if labelled.kind.ordered and counts_steps:
        return Losses(np.abs(answers - truth).astype(np.float64), "steps", float(max(1, len(labelled.classes) - 1)))
    return Losses((answers != truth).astype(np.float64), "error")
