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

The tests themselves are in `metrics/paired`; `studies/compare` makes the table of a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from obverse import metrics
from obverse.decisions import LabelSet, OneClass
from obverse.errors import DataError
from obverse.metrics import Difference, FloatArray, IntArray

from .estimates import Estimate
from .predictions import Predictions

Side = Sequence[Predictions]


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
    share_right = metrics.metric_of("accuracy", label_sets=base[0].kind.is_set).name
    by_metric: dict[str, Difference] = {}
    for column, metric in enumerate(draws.metrics):
        is_exact = metric.name == share_right and are_single and not units.are_groups
        difference = metrics.paired_difference(
            metric, float(point_M[column]), draws_RM[:, column], units,
            are_single=are_single,
            swapped_R=None if swapped_RM is None else swapped_RM[:, column],
            discordant=discordant(base[0], other[0]) if is_exact else None,
        )  # fmt: skip
        if difference is not None:
            by_metric[metric.name] = difference
    return by_metric


def too_few(runs: Sequence[Predictions]) -> dict[str, str]:
    """Metrics by which runs on these samples are not compared because there are too few samples: name -> reason."""
    return metrics.too_few(replace(runs[0].labelled().outcome, units=joint_units([run.labelled() for run in runs])))


def joint_units(runs: Sequence[Predictions]) -> metrics.Units:
    """Sampling units of runs on the same samples: where their groups differ, those of the run with the fewest units."""
    return min((run.units for run in runs), key=lambda units: units.num)


def discordant(base: Predictions, other: Predictions) -> tuple[int, int]:
    """Numbers of discordant samples: those that only `base` has right, and those that only `other` has right."""
    base_N, other_N = base.is_right_N, other.is_right_N
    return int((base_N & ~other_N).sum()), int((other_N & ~base_N).sum())


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


def seed_interval(values: Sequence[float], *, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """Mean over seeds with its 95 % interval by Student's t, clipped to `bounds`; no interval for one seed or for seeds
    of one value.
    """
    return Estimate(*metrics.mean_over_seeds(values, bounds))
