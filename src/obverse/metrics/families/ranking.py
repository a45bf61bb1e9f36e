"""Ranking metrics (AUROC, average precision), which need no thresholds.

Each class is ranked against the rest. The mean is over the classes for which the score is defined.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from obverse.metrics.answers import LabelSets, OneLabel
from obverse.metrics.counts import FloatArray
from obverse.metrics.intervals import Interval, score_interval
from obverse.metrics.label_sets import Ranking, mean_average_precision
from obverse.metrics.metric import Measure, Metric
from obverse.metrics.units import Units, spread

FEW = 10
"""Number of samples, of a class and of the rest, below which its ranking says little."""

WRONG = 0.5
"""Loss of AUROC for a positive that is ranked in the middle of the others instead of first."""

LARGEST_BIAS = 1.0
"""Largest bias of average precision from few samples, in standard errors, for which an interval is given."""


def _interval(
    value: float, influence_N: FloatArray, sizes_K: FloatArray, units: Units, *, bias: float | None = None
) -> Interval:
    """Interval of a mean ranking score, from the samples' influences.

    The lower end is computed with one additional positive ranked in the middle of the others, because the samples may
    by chance have no such mistake.
    sizes_K: independent samples of each class, or of the rest where those are fewer.
    bias: expected excess of the score from few samples; None for AUROC, which is unbiased.
    """
    if math.isnan(value):
        return Interval(math.nan, math.nan)
    known_M = sizes_K[sizes_K > 0]
    reason = _too_few(sizes_K, units, with_rest=bias is None)
    if reason:
        return Interval(math.nan, math.nan, reason)
    # Where every class is ranked perfectly: the effective number of samples, which the rarest classes limit.
    information = len(known_M) ** 2 / float((1 / known_M).sum())
    variation = spread(influence_N, units)
    lift = bias or 0.0
    if lift > LARGEST_BIAS * math.sqrt(variation.variance) and variation.variance > 0:
        what = "groups" if units.are_groups else "samples"
        return Interval(math.nan, math.nan, f"too few {what} of each class: so few alone lift the score by {lift:.3f}")
    seen = score_interval(value, variation, information=information)
    step = WRONG * float((1 / known_M).mean()) / len(known_M)
    more = variation._replace(variance=variation.variance + step**2)
    return Interval(min(seen.low, score_interval(value - lift - step, more, information=information).low), seen.high)


def _too_few(sizes_K: FloatArray, units: Units, *, with_rest: bool) -> str:
    """Why there are too few samples for a mean over classes; empty where there are enough."""
    known_M = sizes_K[sizes_K > 0]
    num_few = int((known_M < FEW).sum())
    what, whose = (
        "groups" if units.are_groups else "samples",
        "classes, or the rest of one," if with_rest else "classes",
    )
    few = f"too few {what}: {num_few} of {len(known_M)} {whose} have fewer than {FEW}"
    return few if 2 * num_few >= len(known_M) else ""


def _num_units(is_N: npt.NDArray[np.bool_], units: Units) -> int:
    return len(np.unique(units.of_N[is_N])) if units.are_groups else int(is_N.sum())


def _sizes(answers: OneLabel | LabelSets, *, with_rest: bool) -> FloatArray:
    """Independent samples of each class (K), or of the rest of them where those are fewer."""
    sizes = []
    for k in range(answers.num_classes):
        is_N = answers.labels_N == k if isinstance(answers, OneLabel) else answers.truth_NK[:, k]
        rest = _num_units(~is_N, answers.units) if with_rest else len(is_N)
        sizes.append(min(_num_units(is_N, answers.units), rest))
    return np.array(sizes, np.float64)


def _auroc_interval(answers: OneLabel | LabelSets) -> Interval:
    ranking = answers.one_vs_rest
    return _interval(ranking.auroc, ranking.auroc_influence_N, _sizes(answers, with_rest=True), answers.units)


def _precision_interval(answers: OneLabel) -> Interval:
    ranking = answers.one_vs_rest
    sizes_K = _sizes(answers, with_rest=False)
    bias = float(np.nanmean(ranking.average_precision_bias_K))
    return _interval(
        ranking.average_precision, ranking.average_precision_influence_N, sizes_K, answers.units, bias=bias
    )


def _pseudo_values(value: float, influence_N: FloatArray) -> FloatArray:
    return value + len(influence_N) * influence_N


def _average_precisions(answers: LabelSets) -> FloatArray:
    return Ranking(answers.truth_NK, answers.probabilities_NK).average_precision()


METRICS = (
    Metric(
        name="auroc",
        title="AUROC",
        unit="score",
        better="higher",
        one_label=Measure(
            value=lambda a: a.one_vs_rest.auroc,
            interval=_auroc_interval,
            of_samples=lambda a: _pseudo_values(a.one_vs_rest.auroc, a.one_vs_rest.auroc_influence_N),
            per_class=lambda a: a.one_vs_rest.auroc_K,
            explained="area under the ROC curve, mean over classes against the rest",
        ),
        label_sets=Measure(
            value=lambda a: a.one_vs_rest.auroc,
            interval=_auroc_interval,
            of_samples=lambda a: _pseudo_values(a.paired_one_vs_rest.auroc, a.paired_one_vs_rest.auroc_influence_N),
            too_few=lambda a: _too_few(_sizes(a, with_rest=True), a.units, with_rest=True),
            per_class=lambda a: a.one_vs_rest.auroc_K,
            explained="area under the ROC curve, mean over classes",
        ),
        needs=frozenset({"probabilities", "two classes"}),
        class_key="auroc",
    ),
    Metric(
        name="map",
        title="mean average precision (mAP)",
        unit="score",
        better="higher",
        one_label=Measure(
            value=lambda a: a.one_vs_rest.average_precision,
            interval=_precision_interval,
            of_samples=lambda a: _pseudo_values(
                a.one_vs_rest.average_precision, a.one_vs_rest.average_precision_influence_N
            ),
            per_class=lambda a: a.one_vs_rest.average_precision_K,
            explained="over classes, each against the rest",
        ),
        label_sets=Measure(
            value=lambda a: mean_average_precision(a.truth_NK, a.probabilities_NK),
            interval=lambda a: a.intervals["map"],
            of_samples=lambda a: _pseudo_values(
                a.paired_one_vs_rest.average_precision, a.paired_one_vs_rest.average_precision_influence_N
            ),
            too_few=lambda a: _too_few(_sizes(a, with_rest=False), a.units, with_rest=False),
            per_class=_average_precisions,
            is_headline=True,
        ),
        needs=frozenset({"probabilities"}),
        also=("average_precision",),
        class_key="average_precision",
    ),
)
