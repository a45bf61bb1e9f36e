"""Two models on the same samples: by how much they differ, and how sure that is.

Samples are matched by id, because what two models find hard is mostly the same: pairing takes that out, and a
difference shows that two separate intervals would hide. A side may be several runs that differ by their seed alone;
its number is then the mean over them, and runs are drawn as samples are: what is found holds for other seeds too. Of
two or three runs that says too little of how much seeds differ, and a single run stands for itself alone.

Accuracy of two single runs: exact McNemar test (McNemar 1947; the binomial test on the samples that one of them alone
has right). Everything else: paired bootstrap over samples (Efron & Tibshirani 1993). Not a table: `experiment/compare`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from obverse import metrics
from obverse.errors import DataError
from obverse.metrics.counts import FloatArray, IntArray

from .measure import Estimate, sample_losses
from .predictions import Predictions

COMPARED: dict[str, Callable[[IntArray], float]] = {
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "macro_f1": metrics.macro_f1,
}
COMPARED_ORDINAL: dict[str, Callable[[IntArray], float]] = {
    "mean_absolute_error": metrics.mean_absolute_error,
    "quadratic_kappa": metrics.quadratic_kappa,
}
LOSS = "loss"
SMALLER_IS_BETTER = frozenset({LOSS, "mean_absolute_error"})
POWER = 0.8
LEVEL = 0.05

Side = Sequence[Predictions]


@dataclass(frozen=True)
class Difference:
    """other - base, with its 95 % interval. p_value: of such a difference or a larger one, if there were none."""

    metric: str
    value: float
    low: float
    high: float
    p_value: float
    test: str

    @property
    def favours_other(self) -> bool:
        """Whether the difference, sure or not, is to the good."""
        return self.value < 0 if self.metric in SMALLER_IS_BETTER else self.value > 0


def require_same_samples(first: Predictions, other: Predictions, names: tuple[str, str]) -> Predictions:
    """`other` in the sample and class order of `first`. DataError when classes, samples or labels differ."""
    if set(first.classes) != set(other.classes):
        odd = sorted(set(first.classes) ^ set(other.classes))
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: {len(odd)} class(es) are known to one of them "
                        f"only ({', '.join(map(repr, odd[:3]))}{' ...' if len(odd) > 3 else ''})")  # fmt: skip
    place = {name: row for row, name in enumerate(other.ids)}
    odd = sorted(set(first.ids) ^ set(other.ids))
    if odd:
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: they were measured on different samples "
                        f"({len(first.ids)} and {len(other.ids)}, {len(odd)} in one only, for example {odd[0]!r}). "
                        "Evaluate both on the same data, or train both with one data.split.stored")  # fmt: skip
    column = {name: k for k, name in enumerate(other.classes)}
    columns_K = np.array([column[name] for name in first.classes])
    back_K = np.argsort(columns_K)
    ordered = other.take(np.array([place[name] for name in first.ids]))
    labels_N = np.where(ordered.labels_N < 0, -1, back_K[ordered.labels_N])
    if not np.array_equal(labels_N, first.labels_N):
        row = int(np.flatnonzero(labels_N != first.labels_N)[0])
        raise DataError(f"{names[0]} and {names[1]} cannot be compared: sample {first.ids[row]!r} has another label "
                        "in each")  # fmt: skip
    probabilities_NK = np.ascontiguousarray(ordered.probabilities_NK[:, columns_K])
    return replace(
        ordered,
        classes=first.classes,
        ordered=first.ordered,
        labels_N=labels_N,
        probabilities_NK=probabilities_NK,
        view_probabilities={},
        view_grades={},
    )


def differences(base: Side, other: Side, *, num_resamples: int = 2000, seed: int = 0) -> dict[str, Difference]:
    """Of every metric; all predictions must be in one order (`require_same_samples`)."""
    base, other = ([run.take(run.labels_N >= 0) for run in side] for side in (base, other))
    if not base[0].ids:
        raise DataError("there are no labelled samples to compare on")
    draws_RM, point_M, names = _resampled(base, other, num_resamples, seed)
    found = {}
    for column, name in enumerate(names):
        draws_R = draws_RM[:, column]
        draws_R = draws_R[np.isfinite(draws_R)]
        if not len(draws_R) or not math.isfinite(point_M[column]):
            continue
        low, high = np.percentile(draws_R, [2.5, 97.5])
        p_value, test = _bootstrap_p(draws_R), "paired bootstrap"
        if len(base) > 1 or len(other) > 1:
            test += " over samples and seeds"
        if name == "accuracy" and len(base) == len(other) == 1:
            p_value, test = mcnemar(*discordant(base[0], other[0])), "exact McNemar"
        found[name] = Difference(name, float(point_M[column]), float(low), float(high), p_value, test)
    return found


def discordant(base: Predictions, other: Predictions) -> tuple[int, int]:
    """Samples that `base` alone has right, and those that `other` alone has right."""
    base_N, other_N = base.predictions_N == base.labels_N, other.predictions_N == other.labels_N
    return int((base_N & ~other_N).sum()), int((other_N & ~base_N).sum())


def mcnemar(only_base: int, only_other: int) -> float:
    """The exact two-sided p-value: under no difference each such sample is a fair coin."""
    total = only_base + only_other
    if total == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_base, only_other), total, 0.5)))


def samples_needed(only_base: int, only_other: int, num_samples: int) -> int | None:
    """The size of test set on which a difference like this one is found four times in five (Connor 1987).

    None where there is no difference at all.
    """
    disagree, gap = (only_base + only_other) / num_samples, abs(only_base - only_other) / num_samples
    if gap == 0:
        return None
    z_level, z_power = NormalDist().inv_cdf(1 - LEVEL / 2), NormalDist().inv_cdf(POWER)
    root = z_level * math.sqrt(disagree) + z_power * math.sqrt(max(0.0, disagree - gap * gap))
    return math.ceil((root / gap) ** 2)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for so many comparisons (Holm 1979): of several models one looks different by chance."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def seed_interval(values: Sequence[float], *, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """The mean over seeds and its 95 % interval by Student's t, cut off at `bounds`; no ends for one seed."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, None, None)
    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))


def _resampled(
    base: Side, other: Side, num_resamples: int, seed: int
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Differences on every resample (R, M), on the samples themselves (M), and the metrics' names."""
    statistics = COMPARED | (COMPARED_ORDINAL if base[0].ordered else {})
    num_samples, num_classes = len(base[0].ids), len(base[0].classes)
    cells = [np.stack([run.labels_N * num_classes + run.predictions_N for run in side]) for side in (base, other)]
    losses = [np.stack([sample_losses(run) for run in side]) for side in (base, other)]

    def measured(counts_N: npt.NDArray[np.int64], runs: Sequence[IntArray]) -> list[float]:
        found = []
        for cells_RN, losses_RN, rows in zip(cells, losses, runs, strict=True):
            matrices = [_confusion(cells_N, counts_N, num_classes) for cells_N in cells_RN[rows]]
            means = [float(np.mean([of(matrix) for matrix in matrices])) for of in statistics.values()]
            found.append([*means, float((losses_RN[rows] @ counts_N).mean() / num_samples)])
        return [b - a for a, b in zip(*found, strict=True)]

    generator = np.random.default_rng(seed)
    shares_N, sides = np.full(num_samples, 1 / num_samples), (len(base), len(other))
    draws = [
        measured(generator.multinomial(num_samples, shares_N), [generator.integers(n, size=n) for n in sides])
        for _ in range(num_resamples)
    ]
    point = measured(np.ones(num_samples, np.int64), [np.arange(n) for n in sides])
    return np.array(draws), np.array(point), (*statistics, LOSS)


def _confusion(cells_N: IntArray, counts_N: npt.NDArray[np.int64], num_classes: int) -> IntArray:
    # Weighted counts come as floats, exact below 2**53.
    counted = np.bincount(cells_N, weights=counts_N, minlength=num_classes * num_classes)
    return counted.astype(np.int64).reshape(num_classes, num_classes)


def _bootstrap_p(draws_R: FloatArray) -> float:
    """Two-sided; never 0, because so few draws cannot say that."""
    tails = min(int((draws_R <= 0).sum()), int((draws_R >= 0).sum()))
    return min(1.0, 2 * (tails + 1) / (len(draws_R) + 1))
