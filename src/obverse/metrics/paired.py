"""Paired tests: intervals and p-values of the difference between two sides on the same samples.

Side by side with `resampling`, which draws the differences. `evaluation/compare` says which test belongs to which
metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from .counts import FloatArray, IntArray
from .metric import Metric
from .registry import LOWER_IS_BETTER
from .units import Units

# Probability with which a difference should be found on the number of samples that `samples_needed` gives.
POWER = 0.8
# Significance level of the tests, two-sided.
LEVEL = 0.05
_Z_LEVEL, _Z_POWER = NormalDist().inv_cdf(1 - LEVEL / 2), NormalDist().inv_cdf(POWER)
_Z = _Z_LEVEL + _Z_POWER
# Resamples whose scores are computed by one matrix product.
BLOCK = 50


@dataclass(frozen=True)
class Difference:
    """Difference of a metric, other - base, with its 95 % interval."""

    metric: str
    value: float
    low: float
    high: float

    p_value: float
    """Two-sided: probability of a difference at least this large if there were none."""

    test: str
    """Name of the test, for the legend."""

    @property
    def favours_other(self) -> bool:
        """Whether `other` is better by this metric, significantly or not."""
        return self.value < 0 if self.metric in LOWER_IS_BETTER else self.value > 0


def paired_difference(
    metric: Metric,
    value: float,
    draws_R: FloatArray,
    units: Units,
    *,
    are_single: bool,
    swapped_R: FloatArray | None = None,
    discordant: tuple[int, int] | None = None,
) -> Difference | None:
    """The difference with its interval and test from resamples of it; None where it is not defined.

    draws_R: differences on bootstrap resamples. are_single: whether both sides are single runs. swapped_R: differences
    with the answers of two single runs exchanged in random groups. discordant: numbers of samples that only the base,
    and only the other, has right, where the metric is the share of right answers of two single runs without groups.
    """
    draws_R = draws_R[np.isfinite(draws_R)]
    if not len(draws_R) or not math.isfinite(value):
        return None
    if units.are_groups:
        draws_R = value + (draws_R - draws_R.mean()) * few_groups_factor(units.effective)
    low, high = np.percentile(draws_R, [2.5, 97.5])
    p_value, test = _bootstrap_p(draws_R), "paired bootstrap" + (" over groups" if units.are_groups else "")
    if not are_single:
        test += " and seeds" if units.are_groups else " over samples and seeds"
    elif swapped_R is not None:
        p_value, test = _permutation_p(swapped_R, value), "paired permutation of groups"
    elif discordant is not None:
        p_value, test = mcnemar(*discordant), "exact McNemar"
    most = 1.0 if metric.bounds == (0.0, 1.0) else math.inf
    return Difference(metric.name, value, max(-most, float(low)), min(most, float(high)), p_value, test)


def mean_differences(
    metric: Metric,
    base_SN: FloatArray,
    others: Sequence[FloatArray],
    units: Units,
    *,
    are_hits: bool,
    num_resamples: int = 2000,
    seed: int = 0,
) -> list[Difference | None]:
    """Differences of a metric that is a mean over samples, of many sides from one, on the same samples.

    The result for two single runs is that of `Resampler` with this seed; many sides share its resamples.
    base_SN, others: the value of each run (seed) of a side on each sample. are_hits: whether the values are 1 for right
    answers and 0 for others. None where all samples are of one group.
    """
    if units.are_groups and units.num < 2:
        return [None] * len(others)
    sides = [base_SN, *others]
    rows = np.cumsum([0, *(len(side) for side in sides)])
    values_XN = np.concatenate(sides).astype(np.float64)
    draws_RX = _bootstrap_means(values_XN, units, num_resamples, seed)
    generator, differences = np.random.default_rng(seed), []
    for number, other_SN in enumerate(others, 1):
        are_single = len(base_SN) == len(other_SN) == 1
        base_R, other_R = (_of_seeds(draws_RX[:, rows[k] : rows[k + 1]], generator) for k in (0, number))
        gain_N = other_SN.mean(axis=0, dtype=np.float64) - base_SN.mean(axis=0, dtype=np.float64)
        swapped_R = _swapped_means(gain_N, units, num_resamples, seed) if units.are_groups and are_single else None
        hits = (int((gain_N < 0).sum()), int((gain_N > 0).sum())) if are_hits and are_single else None
        differences.append(
            paired_difference(
                metric, float(gain_N.mean()), other_R - base_R, units,
                are_single=are_single, swapped_R=swapped_R, discordant=hits,
            )
        )  # fmt: skip
    return differences


def _bootstrap_means(values_XN: FloatArray, units: Units, num: int, seed: int) -> FloatArray:
    """Mean of each row of values on bootstrap resamples (R, X): units drawn with replacement."""
    generator, shares_G = np.random.default_rng(seed), np.full(units.num, 1 / units.num)
    blocks = []
    for start in range(0, num, BLOCK):
        counts_RG = generator.multinomial(units.num, shares_G, size=min(BLOCK, num - start))
        counts_RN = counts_RG[:, units.of_N].astype(np.float64)
        blocks.append(counts_RN @ values_XN.T / counts_RN.sum(axis=1, keepdims=True))
    means_RX: FloatArray = np.concatenate(blocks)
    return means_RX


def _of_seeds(draws_RS: FloatArray, generator: np.random.Generator) -> FloatArray:
    """The mean over runs (R), which are drawn with replacement for each resample."""
    num, runs = draws_RS.shape
    if runs == 1:
        return draws_RS[:, 0]
    means_R: FloatArray = np.take_along_axis(draws_RS, generator.integers(runs, size=(num, runs)), axis=1).mean(axis=1)
    return means_R


def _swapped_means(gain_N: FloatArray, units: Units, num: int, seed: int) -> FloatArray:
    """The mean gain with its sign exchanged in a random half of the groups (R)."""
    generator = np.random.default_rng(seed)
    signs = (1 - 2 * generator.integers(2, size=units.num)[units.of_N] for _ in range(num))
    return np.array([float(gain_N @ sign_N) / len(gain_N) for sign_N in signs])


def mean_over_seeds(
    values: Sequence[float], bounds: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[float, float | None, float | None, str]:
    """Mean over seeds, its 95 % interval by Student's t, clipped to `bounds`, and why there is none: for one seed or
    for seeds of one value.
    """
    from scipy.special import stdtrit

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None, ""
    if len(set(values)) == 1:
        return values[0], None, None, "every seed gave this value, so how much seeds vary is not known"
    half = float(stdtrit(len(values) - 1, 1 - LEVEL / 2)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return mean, max(bounds[0], mean - half), min(bounds[1], mean + half), ""


def few_groups_factor(num_groups: float) -> float:
    """Factor by which to widen a bootstrap over `num_groups` groups, which is too narrow when they are few."""
    from scipy.special import stdtrit

    degrees = max(1.0, num_groups - 1)
    quantile = float(stdtrit(degrees, 1 - LEVEL / 2)) / NormalDist().inv_cdf(1 - LEVEL / 2)
    return quantile * math.sqrt((degrees + 1) / degrees)


def mcnemar(only_base: int, only_other: int) -> float:
    """Exact two-sided p-value of McNemar's test: without a difference, each discordant sample is a fair coin toss."""
    total = only_base + only_other
    if total == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_base, only_other), total, 0.5)))


def samples_needed(only_base: int, only_other: int, num_samples: int) -> int | None:
    """Number of test samples on which this difference is found with 80 % power; None for no difference.

    only_base, only_other: numbers of discordant samples.
    """
    disagree, gap = (only_base + only_other) / num_samples, abs(only_base - only_other) / num_samples
    return None if gap == 0 else _connor(disagree, gap)


def units_to_detect(gap: float, gain_N: IntArray | FloatArray, units: Units, *, are_hits: bool) -> int:
    """Number of units (groups or samples) on which a mean gain of `gap` is found with 80 % power.

    gain_N: gains of two runs on samples, which say how much they disagree. are_hits: whether gains are 1, 0 or -1.
    """
    if are_hits and not units.are_groups:
        return _connor(max(gap, float(np.abs(gain_N).mean())), gap)
    gains_G = np.bincount(units.of_N, gain_N)
    spread = float((gains_G - gain_N.mean() * units.sizes_G).std(ddof=1))
    return max(2, math.ceil((_Z * spread / (gap * float(units.sizes_G.mean()))) ** 2))


def _connor(disagree: float, gap: float) -> int:
    """Number of samples for McNemar's test (Connor 1987). disagree: share of discordant samples."""
    root = _Z_LEVEL * math.sqrt(disagree) + _Z_POWER * math.sqrt(max(0.0, disagree - gap * gap))
    return math.ceil((root / gap) ** 2)


def units_needed(gain_N: IntArray | FloatArray, units: Units) -> int | None:
    """Number of units (groups or samples) on which this mean gain is found with 80 % power; None for no gain."""
    gains_G = np.bincount(units.of_N, gain_N)
    gap, spread = float(gains_G.mean()), float((gains_G - gain_N.mean() * units.sizes_G).std(ddof=1))
    if gap == 0:
        return None
    return max(2, math.ceil((_Z * spread / gap) ** 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for multiple comparisons by Holm's method (Holm 1979), in the order given."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def p_value_words(p_value: float) -> str:
    """P-value as text in three digits; below 0.0001 no digits mean anything."""
    return "below 0.0001" if p_value < 1e-4 else f"{p_value:.3g}"


def _bootstrap_p(draws_R: FloatArray) -> float:
    """Two-sided p-value of a bootstrap; never 0, because the number of draws is finite."""
    tails = min(int((draws_R <= 0).sum()), int((draws_R >= 0).sum()))
    return min(1.0, 2 * (tails + 1) / (len(draws_R) + 1))


def _permutation_p(swapped_R: FloatArray, value: float) -> float:
    """Two-sided p-value of a permutation test; the observed data counts as one of the permutations."""
    # The tolerance counts permutations whose difference is equal but for rounding.
    least = abs(value) * (1 - 1e-12)
    return float((1 + (np.abs(swapped_R) >= least).sum()) / (len(swapped_R) + 1))
