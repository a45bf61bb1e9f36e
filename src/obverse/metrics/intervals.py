"""95 % intervals of metrics.

All intervals take `Units`: samples of one group (pictures of one object, copies) are drawn together.

- A share of independent samples: Wilson's interval.
- Other scores with bounds: a variance by linearization (`units.py`), then Wilson's interval for the number of samples
  that would give this variance, so the interval never leaves the bounds.
- A positive mean without an upper bound: Student's interval of its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError

from . import influence
from .counts import (
    FloatArray,
    IntArray,
    balanced_accuracy,
    confusion_matrix,
    macro_f1,
    macro_precision,
)
from .label_sets import (
    BoolArray,
    Ranking,
    mean_average_precision,
    set_macro_f1,
    set_macro_f1_influence,
    set_micro_f1,
    set_micro_f1_influence,
    set_scores,
)
from .ordinal import quadratic_kappa
from .units import Spread, Units, class_spread, spread

LARGEST_BIAS = 0.5
"""Largest bias of an average over classes, in standard errors, for which an interval is given."""

ALIKE_WEIGHT = 0.5
"""Weight of the guess that all samples of a group are alike, counted in groups with an error."""
FEW_POSITIVES = 10
"""Positive samples below which a class's score is too uncertain for the interval of an average over classes."""
ONE_UNIT = "one independent sample does not tell how much samples differ"

Statistic = Callable[[IntArray], float]
Influence = Callable[[IntArray], FloatArray]


class Interval(NamedTuple):
    """An interval in the unit of the statistic."""

    low: float
    """Lower end; NaN where there is no interval."""

    high: float
    """Upper end; NaN where there is no interval."""

    reason: str = ""
    """Why there is no interval."""


@dataclass(frozen=True)
class ClassAverage:
    """A score that is an average over classes, as functions of the confusion matrix."""

    value: Callable[[IntArray], FloatArray]
    """The score."""

    influence: Influence
    """Influence (K, K) of a sample in each cell on the score."""

    bias: Statistic | None = None
    """Bias of the score; None where it is unbiased."""

    few: int = 1
    """Number of units below which a class has too few."""

    most_few: float = 1.0
    """Largest share of classes with too few units for which a biased score has an interval."""


CLASS_AVERAGES: Mapping[str, ClassAverage] = {
    "balanced_accuracy": ClassAverage(balanced_accuracy, influence.balanced_accuracy_influence),
    "macro_precision": ClassAverage(
        macro_precision, influence.macro_precision_influence, influence.macro_precision_bias, few=8, most_few=0.1
    ),
    "macro_recall": ClassAverage(balanced_accuracy, influence.balanced_accuracy_influence),
    "macro_f1": ClassAverage(
        macro_f1, influence.macro_f1_influence, influence.macro_f1_bias, few=4, most_few=0.5
    ),
}  # fmt: skip


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share (Wilson 1927), which is also valid for few samples and near 0 or 1.

    Raises DataError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise DataError(f"a share needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    return _wilson(successes / n, n, _quantile(confidence))


def exact_interval(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a share (Clopper & Pearson 1934): it excludes a value only where the binomial test rejects it.

    Numbers may be broken, as the effective numbers of samples in groups are (Korn & Graubard 1998).
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= n or n == 0:
        raise DataError(f"a share needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high)


def share_interval(hits_N: npt.NDArray[np.bool_], units: Units) -> Interval:
    """Wilson's interval of the share of true values; for groups, with their effective sample size.

    Korn & Graubard 1998; Dean & Pagano 2015.
    """
    if not units.are_groups:
        return wilson_interval(int(hits_N.sum()), hits_N.size)
    share, num = float(hits_N.mean()), hits_N.size
    variation, plain = spread((hits_N - share) / num, units), share * (1 - share) / num
    if plain > 0 and not math.isnan(variation.degrees):
        # Few groups with an error say little about how alike the samples of a group are. So the worst case, all samples
        # of a group alike, is averaged in with the weight of ALIKE_WEIGHT groups.
        hits_G = np.bincount(units.of_N, hits_N)
        known = min(int((hits_G < units.sizes_G).sum()), int((hits_G > 0).sum()))
        effect = (known * variation.variance / plain + ALIKE_WEIGHT * num / units.effective) / (known + ALIKE_WEIGHT)
        variation = Spread(effect * plain, variation.degrees)
    return score_interval(share, variation, information=units.effective)


def bounded_mean_interval(values_N: FloatArray, units: Units, *, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Interval of the mean of values that lie within `bounds`."""
    mean = float(values_N.mean()) if values_N.size else math.nan
    variation = spread((values_N - mean) / max(1, values_N.size), units)
    return score_interval(mean, variation, information=units.effective, bounds=bounds)


def positive_mean_interval(values_N: FloatArray, units: Units) -> Interval:
    """Interval of the mean of non-negative values such as losses; none for a mean of 0, which has no logarithm."""
    mean = float(values_N.mean()) if values_N.size else math.nan
    variation = spread((values_N - mean) / max(1, values_N.size), units)
    if math.isnan(variation.degrees):
        return Interval(math.nan, math.nan, ONE_UNIT)
    if mean <= 0:
        return Interval(math.nan, math.nan, "every value is 0, so their spread says nothing")
    half = _student(variation.degrees) * math.sqrt(variation.variance) / mean
    return Interval(mean * math.exp(-half), mean * math.exp(min(half, 700.0)))


def score_interval(
    value: float, variation: Spread, *, information: float, bounds: tuple[float, float] = (0.0, 1.0)
) -> Interval:
    """Interval of a bounded score: Wilson's, with Student's t, for the number of samples that would give this variance.

    information: the number of samples to take where the variance is 0, as when every answer is correct.
    """
    if math.isnan(variation.degrees):
        return Interval(math.nan, math.nan, ONE_UNIT)
    low, high = bounds
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    variance, most = variation.variance / (high - low) ** 2, share * (1 - share)
    num = most / variance if variance > 0 and most > 0 else information
    ends = _wilson(share, num, _student(variation.degrees))
    return Interval(low + (high - low) * ends.low, low + (high - low) * ends.high)


def class_average_interval(
    average: ClassAverage, labels_N: IntArray, predictions_N: IntArray, units: Units, *, num_classes: int
) -> Interval:
    """Interval of an average over classes, after subtracting its bias from few samples (`influence.macro_f1_bias`).

    No interval where too many classes are too small to estimate the bias.
    """
    confusion_KK = confusion_matrix(labels_N, predictions_N, num_classes=num_classes)
    of_class_K = units.per_class(labels_N, num_classes)
    of_class_M = of_class_K[of_class_K > 0]
    what = "groups" if units.are_groups else "samples"
    few = max(average.few, 2) if units.are_groups else average.few
    num_few, most_few = int((of_class_M < few).sum()), average.most_few if average.bias else 0.5
    if num_few > most_few * len(of_class_M):
        reason = f"too few {what}: {num_few} of {len(of_class_M)} classes have fewer than {few}"
        return Interval(math.nan, math.nan, reason)
    influence_KK, value = average.influence(confusion_KK), float(average.value(confusion_KK))
    prior_K = influence.equal_prior(influence_KK, value)
    variation, effect = class_spread(influence_KK[labels_N, predictions_N], units, labels_N, prior_K)
    bias = effect * average.bias(confusion_KK) if average.bias else 0.0
    if abs(bias) > LARGEST_BIAS * math.sqrt(variation.variance) and variation.variance > 0:
        reason = f"too few {what} for each class: so few alone shift the score by about {bias:+.3f}"
        return Interval(math.nan, math.nan, reason)
    information = len(of_class_M) ** 2 / float((1 / of_class_M).sum())
    return score_interval(value - bias, variation, information=information)


def ordinal_intervals(
    labels_N: IntArray, predictions_N: IntArray, units: Units, *, num_classes: int
) -> dict[str, Interval]:
    """Intervals of mean absolute error and quadratic kappa, by name."""
    confusion_KK = confusion_matrix(labels_N, predictions_N, num_classes=num_classes)
    steps_N = np.abs(labels_N - predictions_N).astype(np.float64)
    error = bounded_mean_interval(steps_N, units, bounds=(0.0, float(max(1, num_classes - 1))))
    kappa = float(quadratic_kappa(confusion_KK))
    if math.isnan(kappa):
        return {"mean_absolute_error": error, "quadratic_kappa": Interval(math.nan, math.nan)}
    moves_KK = influence.quadratic_kappa_influence(confusion_KK)
    variation = spread(moves_KK[labels_N, predictions_N], units)
    ends = score_interval(kappa, variation, information=units.effective, bounds=(-1.0, 1.0))
    return {"mean_absolute_error": error, "quadratic_kappa": ends}


def set_intervals(
    truth_NK: BoolArray, answers_NK: BoolArray, probabilities_NK: npt.NDArray[np.floating[Any]], units: Units
) -> dict[str, Interval]:
    """Intervals of mean average precision, macro F1 and micro F1 of label sets, by name."""
    moved = {
        "map": Ranking(truth_NK, probabilities_NK).influence(),
        "macro_f1": set_macro_f1_influence(truth_NK, answers_NK),
        "micro_f1": set_micro_f1_influence(truth_NK, answers_NK),
    }
    scores = set_scores(truth_NK, answers_NK)
    values = {
        "map": mean_average_precision(truth_NK, probabilities_NK),
        "macro_f1": float(set_macro_f1(scores)),
        "micro_f1": float(set_micro_f1(scores)),
    }
    intervals = {
        name: score_interval(values[name], spread(moved_N, units), information=units.effective)
        for name, moved_N in moved.items()
    }
    reason = _few_positives(truth_NK, units)
    return intervals | ({name: Interval(math.nan, math.nan, reason) for name in ("map", "macro_f1")} if reason else {})


def _few_positives(truth_NK: BoolArray, units: Units) -> str:
    """Why an average over classes has no interval; empty where it has one."""
    counts_K = np.array([len(np.unique(units.of_N[has_N])) for has_N in truth_NK.T])
    num_few, num_all = int(((counts_K > 0) & (counts_K < FEW_POSITIVES)).sum()), int((counts_K > 0).sum())
    what = "groups" if units.are_groups else "samples"
    few = f"too few {what}: {num_few} of {num_all} classes are in fewer than {FEW_POSITIVES}"
    return few if 2 * num_few > num_all else ""


def _wilson(share: float, n: float, quantile: float) -> Interval:
    """Wilson's interval of a share among `n` samples; `n` need not be a whole number."""
    spread = quantile * quantile / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    # Exact ends at 0 and 1, where rounding would leave a small remainder.
    return Interval(0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half)


def _student(degrees: float, confidence: float = 0.95) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise DataError(f"confidence must lie between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
