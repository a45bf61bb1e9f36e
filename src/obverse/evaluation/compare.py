"""Paired differences between two models on the same samples, with intervals and p-values.

Samples are matched by id. Pairing removes the variance that both models share (the same samples are hard for both), so
it finds differences that two separate intervals would hide.

A side is one run, or several runs that differ only in their seed. With several, the metric is the mean over runs, and
the bootstrap draws runs as well as samples, so that the result holds for other seeds. Two or three runs say little of
the variance between seeds, and a single run says nothing of it.

- Accuracy (for label sets, subset accuracy) of two single runs: exact McNemar test (McNemar 1947), the binomial test on
  the samples that only one of them has right.
- All other metrics: paired bootstrap over samples (Efron & Tibshirani 1993).
- Grouped samples: the bootstrap draws groups. The p-value of two single runs is that of a permutation test: without a
  difference, the answers of the two models to a group could be exchanged (Good 2005). A bootstrap over few groups is
  too narrow, so draws are widened by sqrt(G / (G - 1)) and by Student's t over the normal quantile.

`studies/compare` makes the table of a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from scipy.special import bdtr

from obverse import metrics
from obverse.decisions import LabelSet, OneClass
from obverse.errors import DataError
from obverse.metrics import FloatArray, IntArray

from .estimates import Estimate
from .predictions import Predictions

# Probability with which a difference should be found on the number of samples that `samples_needed` gives.
POWER = 0.8
# Significance level of the tests, two-sided.
LEVEL = 0.05

Side = Sequence[Predictions]


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
        return self.value < 0 if self.metric in metrics.LOWER_IS_BETTER else self.value > 0


def require_same_samples(first: Predictions, other: Predictions, names: tuple[str, str]) -> Predictions:
    """`other` in the sample and class order of `first`. DataError when classes, samples or labels differ."""
    if first.kind.is_set != other.kind.is_set:
        single, multi = names[first.kind.is_set], names[not first.kind.is_set]
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: {single} gives one class per sample, and "
                        f"{multi} any number of them")  # fmt: skip
    if set(first.classes) != set(other.classes):
        odd = sorted(set(first.classes) ^ set(other.classes))
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: {len(odd)} class(es) are known to one of them "
                        f"only ({', '.join(map(repr, odd[:3]))}{' ...' if len(odd) > 3 else ''})")  # fmt: skip
    odd = sorted(set(first.ids) ^ set(other.ids))
    if odd:
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: they were measured on different samples "
                        f"({len(first.ids)} and {len(other.ids)}, {len(odd)} in one only, for example {odd[0]!r}). "
                        "Evaluate both on the same data, or train both with one data.split.stored")  # fmt: skip
    place = {name: row for row, name in enumerate(other.ids)}
    aligned = _with_classes_of(first, other.take(np.array([place[name] for name in first.ids])))
    is_other_N = (aligned.truth != first.truth).reshape(len(first.ids), -1).any(axis=1)
    if is_other_N.any():
        row = int(np.flatnonzero(is_other_N)[0])
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: sample {first.ids[row]!r} has another label "
                        "in each")  # fmt: skip
    return aligned


def _with_classes_of(first: Predictions, other: Predictions) -> Predictions:
    """`other` with its classes in the order of `first`, without outputs of single views."""
    column = {name: k for k, name in enumerate(other.classes)}
    columns_K = np.array([column[name] for name in first.classes])
    kind: OneClass | LabelSet
    if isinstance(other.kind, LabelSet):
        thresholds = other.kind.thresholds_of(len(other.classes))
        kind, truth = LabelSet(tuple(thresholds[k] for k in columns_K)), other.truth[:, columns_K]
    else:
        kind = OneClass(other.kind.decode, first.kind.ordered)
        truth = np.where(other.known_N, np.argsort(columns_K)[other.truth], -1)
    return replace(
        other,
        classes=first.classes,
        kind=kind,
        truth=truth,
        probabilities_NK=np.ascontiguousarray(other.probabilities_NK[:, columns_K]),
        uncalibrated_NK=None,
        view_probabilities={},
        view_grades={},
    )


def differences(base: Side, other: Side, *, num_resamples: int = 2000, seed: int = 0) -> dict[str, Difference]:
    """Metric -> difference between two sides whose predictions are aligned by `require_same_samples`.

    Empty when all samples are of one group, which does not show how much a difference varies. Without the metrics for
    which there are `too_few` samples. Raises DataError when no sample has a label.
    """
    base, other = ([run.labelled() for run in side] for side in (base, other))
    if not base[0].ids:
        raise DataError("there are no labelled samples to compare on")
    units, are_single = joint_units([*base, *other]), len(base) == len(other) == 1
    if units.are_groups and units.num < 2:
        return {}
    draws = metrics.Resampler([run.outcome for run in base], [run.outcome for run in other], units)
    draws_RM, point_M = draws.bootstrap(num_resamples, seed), draws.point()
    swapped_RM = draws.permute(num_resamples, seed) if units.are_groups and are_single else None
    share_right, by_metric = metrics.metric_of("accuracy", label_sets=base[0].kind.is_set).name, {}
    for column, name in enumerate(metric.name for metric in draws.metrics):
        draws_R, value = draws_RM[:, column], float(point_M[column])
        draws_R = draws_R[np.isfinite(draws_R)]
        if not len(draws_R) or not math.isfinite(value):
            continue
        if units.are_groups:
            draws_R = value + (draws_R - draws_R.mean()) * few_groups_factor(units.effective)
        low, high = np.percentile(draws_R, [2.5, 97.5])
        p_value, test = _bootstrap_p(draws_R), "paired bootstrap" + (" over groups" if units.are_groups else "")
        if not are_single:
            test += " and seeds" if units.are_groups else " over samples and seeds"
        elif swapped_RM is not None:
            p_value, test = _permutation_p(swapped_RM[:, column], value), "paired permutation of groups"
        elif name == share_right:
            p_value, test = mcnemar(*discordant(base[0], other[0])), "exact McNemar"
        most = 1.0 if draws.metrics[column].bounds == (0.0, 1.0) else math.inf
        by_metric[name] = Difference(name, value, max(-most, float(low)), min(most, float(high)), p_value, test)
    return by_metric


def too_few(runs: Sequence[Predictions]) -> dict[str, str]:
    """Metrics by which runs on these samples are not compared because there are too few samples: name -> reason."""
    return metrics.too_few(replace(runs[0].labelled().outcome, units=joint_units([run.labelled() for run in runs])))


def joint_units(runs: Sequence[Predictions]) -> metrics.Units:
    """Sampling units of runs on the same samples: where their groups differ, those of the run with the fewest units."""
    return min((run.units for run in runs), key=lambda units: units.num)


def few_groups_factor(num_groups: float) -> float:
    """Factor by which to widen a bootstrap over `num_groups` groups, which is too narrow when they are few."""
    from scipy.special import stdtrit

    degrees = max(1.0, num_groups - 1)
    quantile = float(stdtrit(degrees, 1 - LEVEL / 2)) / NormalDist().inv_cdf(1 - LEVEL / 2)
    return quantile * math.sqrt((degrees + 1) / degrees)


def discordant(base: Predictions, other: Predictions) -> tuple[int, int]:
    """Numbers of discordant samples: those that only `base` has right, and those that only `other` has right."""
    base_N, other_N = base.is_right_N, other.is_right_N
    return int((base_N & ~other_N).sum()), int((other_N & ~base_N).sum())


def mcnemar(only_base: int, only_other: int) -> float:
    """Exact two-sided p-value of McNemar's test: without a difference, each discordant sample is a fair coin toss."""
    total = only_base + only_other
    if total == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_base, only_other), total, 0.5)))


def samples_needed(only_base: int, only_other: int, num_samples: int) -> int | None:
    """Number of test samples on which this difference is found with 80 % power (Connor 1987); None for no difference.

    only_base, only_other: numbers of discordant samples.
    """
    disagree, gap = (only_base + only_other) / num_samples, abs(only_base - only_other) / num_samples
    if gap == 0:
        return None
    z_level, z_power = NormalDist().inv_cdf(1 - LEVEL / 2), NormalDist().inv_cdf(POWER)
    root = z_level * math.sqrt(disagree) + z_power * math.sqrt(max(0.0, disagree - gap * gap))
    return math.ceil((root / gap) ** 2)


def gain_in_accuracy(base: Predictions, other: Predictions) -> IntArray:
    """Gain of each sample (N): 1 where only `other` is right, -1 where only `base` is, else 0."""
    gain_N: IntArray = other.is_right_N.astype(np.int64) - base.is_right_N
    return gain_N


def gain_in(metric: metrics.Metric, base: Predictions, other: Predictions) -> FloatArray:
    """Gain of each sample (N), whose mean is the difference of the metric. The metric must have `of_samples`."""
    of_samples = metric.measure_for(base.outcome).of_samples
    assert of_samples is not None, metric.name
    gain_N: FloatArray = of_samples(other.outcome) - of_samples(base.outcome)
    return gain_N


def units_needed(gain_N: IntArray | FloatArray, units: metrics.Units) -> int | None:
    """Number of units (groups or samples) on which this mean gain is found with 80 % power; None for no gain."""
    gains_G = np.bincount(units.of_N, gain_N)
    gap, spread = float(gains_G.mean()), float((gains_G - gain_N.mean() * units.sizes_G).std(ddof=1))
    if gap == 0:
        return None
    z_level, z_power = NormalDist().inv_cdf(1 - LEVEL / 2), NormalDist().inv_cdf(POWER)
    return max(2, math.ceil(((z_level + z_power) * spread / gap) ** 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for multiple comparisons by Holm's method (Holm 1979), in the order given."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def seed_interval(values: Sequence[float], *, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """Mean over seeds with its 95 % interval by Student's t, clipped to `bounds`; no interval for one seed or for seeds
    of one value.
    """
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, None, None)
    if len(set(values)) == 1:
        return Estimate(values[0], None, None, "every seed gave this value, so how much seeds vary is not known")
    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))


def _bootstrap_p(draws_R: FloatArray) -> float:
    """Two-sided p-value of a bootstrap; never 0, because the number of draws is finite."""
    tails = min(int((draws_R <= 0).sum()), int((draws_R >= 0).sum()))
    return min(1.0, 2 * (tails + 1) / (len(draws_R) + 1))


def _permutation_p(swapped_R: FloatArray, value: float) -> float:
    """Two-sided p-value of a permutation test; the observed data counts as one of the permutations."""
    # The tolerance counts permutations whose difference is equal but for rounding.
    least = abs(value) * (1 - 1e-12)
    return float((1 + (np.abs(swapped_R) >= least).sum()) / (len(swapped_R) + 1))
