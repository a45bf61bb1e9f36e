"""The largest score that a class of a prediction set may have, from scores of val's true classes.

Split conformal prediction (Vovk et al. 2005): among n independent samples and a new one, the score of the new one's
true class is equally likely to have any of n + 1 places. So the score at place ceil((n + 1) level) covers it with
probability `level` or more. Samples of a group share the weight of one draw (Lee, Barber & Willett 2023): the promise
is then for a random sample of a new group. The classes of a label set share the weight of their sample, which controls
the false-negative rate (Angelopoulos et al. 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obverse.metrics import Units

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
# What rounding of the sums of weights may change.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Draws:
    """Scores of true classes, by the independent unit (sample or group) they belong to."""

    scores_I: FloatArray

    unit_I: IntArray
    """Number of each score's unit, from 0."""

    share_I: FloatArray
    """Weight of each score within its unit; a unit's weights sum to 1."""

    @classmethod
    def of_true_classes(cls, scores_NK: FloatArray, truth: npt.NDArray[np.generic], units: Units) -> Draws:
        """Scores of the true class of each sample, or of all true classes of each label set.

        truth: class indices (N), or label sets (N, K). A sample without any class counts as covered.
        """
        unit_N, share_N = units.of_N, 1 / units.sizes_G[units.of_N]
        if truth.ndim == 1:
            return cls(scores_NK[np.arange(len(truth)), truth.astype(np.int64)], unit_N, share_N)
        rows_P, classes_P = np.nonzero(truth)
        num_N = np.bincount(rows_P, minlength=len(truth))
        empty_M = np.flatnonzero(num_N == 0)
        rows_I = np.concatenate([rows_P, empty_M])
        scores_I = np.concatenate([scores_NK[rows_P, classes_P], np.zeros(len(empty_M))])
        return cls(scores_I, unit_N[rows_I], share_N[rows_I] / np.maximum(num_N, 1)[rows_I])

    @property
    def num_units(self) -> int:
        """The number of independent units."""
        return len(np.unique(self.unit_I))

    def one_each(self) -> FloatArray:
        """One score of every unit, drawn by weight, with the same result every time."""
        # Of waiting times with these rates, each is the first with a probability proportional to its rate.
        times_I = np.random.default_rng(0).exponential(size=len(self.unit_I)) / self.share_I
        order_I = np.lexsort((times_I, self.unit_I))
        _, first_G = np.unique(self.unit_I[order_I], return_index=True)
        return self.scores_I[order_I][first_G]


def threshold(draws: Draws, *, level: float, confidence: float | None = None) -> float | None:
    """The largest score of a class in a set; None where the units are too few, so that every class is in.

    level: share of true classes within sets, on average over draws. confidence: probability over draws with which this
    share reaches `level`; None asks for the average only.
    """
    num = draws.num_units
    if confidence is not None:
        place = place_of(num, level=level, confidence=confidence)
        return None if place is None else float(np.sort(draws.one_each())[place - 1])
    order_I = np.argsort(draws.scores_I, kind="stable")
    covered_I = draws.share_I[order_I].cumsum() / (num + 1)
    enough_M = np.flatnonzero(covered_I >= level - ROUNDING)
    return float(draws.scores_I[order_I[enough_M[0]]]) if enough_M.size else None


def place_of(num_units: int, *, level: float, confidence: float | None) -> int | None:
    """Place of the threshold among `num_units` sorted scores, from 1; None where no score is large enough.

    The coverage of the score at place k has the law Beta(k, n + 1 - k). With a confidence, k is the first whose
    coverage reaches `level` with that probability (Vovk 2012).
    """
    if confidence is None:
        place = max(1, math.ceil((num_units + 1) * level - ROUNDING))
        return place if place <= num_units else None
    from scipy.special import betainc

    places_M = np.arange(1, num_units + 1)
    reached_M = betainc(places_M, num_units + 1.0 - places_M, level) <= 1 - confidence
    return int(places_M[reached_M][0]) if reached_M.any() else None
