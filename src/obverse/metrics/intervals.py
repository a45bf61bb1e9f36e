"""How far a measured number may be off because the samples are few.

Every interval treats samples as independent draws. Pictures of one object are not: with grouped data the truth is
wider.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from obverse.errors import DataError
from obverse.metrics.counts import FloatArray, IntArray, confusion_matrix, total

Statistic = Callable[[IntArray], float]


class Interval(NamedTuple):
    """Both ends, in the unit of the statistic."""

    low: float
    high: float


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Interval of a share (Wilson 1927): right for few samples and near 0 or 1, where the textbook one is not."""
    if not 0 <= successes <= n or n == 0:
        raise DataError(f"a share needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    z = _quantile(confidence)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    low = 0.0 if successes == 0 else centre - half
    return Interval(low, 1.0 if successes == n else centre + half)


def mean_interval(values_N: FloatArray, *, confidence: float = 0.95) -> Interval:
    """Interval of a mean by the normal approximation; NaN for a single value, whose spread is unknown."""
    if values_N.size == 0:
        raise DataError("there are no samples to measure")
    if values_N.size == 1:
        return Interval(math.nan, math.nan)
    half = _quantile(confidence) * float(values_N.std(ddof=1)) / math.sqrt(values_N.size)
    return Interval(float(values_N.mean()) - half, float(values_N.mean()) + half)


def bootstrap_interval(
    statistic: Statistic,
    labels_N: IntArray,
    predictions_N: IntArray,
    *,
    num_classes: int,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """95 % percentile bootstrap over samples, of a statistic of the confusion matrix."""
    confusion_KK = confusion_matrix(labels_N, predictions_N, num_classes=num_classes)
    return bootstrap_intervals({"": statistic}, confusion_KK, num_resamples=num_resamples, seed=seed)[""]


def bootstrap_intervals(
    statistics: Mapping[str, Statistic],
    confusion_KK: IntArray,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Percentile bootstrap (Efron 1979) of several statistics on the same resamples.

    Drawing N samples with replacement and counting them is one multinomial draw over the filled cells: the same
    distribution, at a cost that depends on the cells and not on N. Resamples on which a statistic is undefined (NaN)
    are left out. The matrix handed to a statistic is reused, so it must not be kept.
    """
    num_samples = total(confusion_KK)
    cells_U = np.flatnonzero(confusion_KK)
    shares_U = confusion_KK.ravel()[cells_U] / num_samples
    generator = np.random.default_rng(seed)
    resample_KK = np.zeros_like(confusion_KK)
    values_RS = np.empty((num_resamples, len(statistics)))
    for row in range(num_resamples):
        resample_KK.ravel()[cells_U] = generator.multinomial(num_samples, shares_U)
        values_RS[row] = [statistic(resample_KK) for statistic in statistics.values()]
    return {name: percentiles(values_RS[:, column], confidence) for column, name in enumerate(statistics)}


def percentiles(values_R: FloatArray, confidence: float) -> Interval:
    """Of resampled values; those that are not finite are left out."""
    defined = values_R[np.isfinite(values_R)]
    if defined.size == 0:
        return Interval(math.nan, math.nan)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(defined, [tail, 100.0 - tail])
    return Interval(float(low), float(high))


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise DataError(f"confidence must lie between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
