"""Variance of a score when samples are drawn in groups, stratified by class.

Linearization estimate of survey statistics (Binder 1983): a score changes with each sample by the sample's influence
(`influence.py`), and influences are summed within a unit (one object, copies of one picture) before their variance is
taken. Units of one class form a stratum, because a test set has a fixed number of each class.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError

from .counts import FloatArray, IntArray

# Weight, in units, of the prior variance with which each class's variance is averaged: that of equally hard classes.
# Without it, a class of three correct samples would have a variance of 0.
PRIOR_WEIGHT = 1.0


class Spread(NamedTuple):
    """Estimated variance of a score; both fields are NaN when it cannot be estimated."""

    variance: float

    degrees: float
    """Degrees of freedom of the estimate."""


@dataclass(frozen=True, eq=False)
class Units:
    """Sampling units: the samples of one unit were drawn together."""

    of_N: IntArray
    """Number of each sample's unit, from 0."""

    @classmethod
    def alone(cls, num_samples: int) -> Units:
        """Units of one sample each."""
        return cls(np.arange(num_samples, dtype=np.int64))

    @classmethod
    def of_groups(cls, groups: Iterable[Hashable | None]) -> Units:
        """Units from group names; a sample without a group (None) is a unit of its own."""
        numbers: dict[Hashable, int] = {}
        places = [
            numbers.setdefault(("alone", n) if g is None else ("group", g), len(numbers)) for n, g in enumerate(groups)
        ]
        return cls(np.array(places, dtype=np.int64))

    @cached_property
    def sizes_G(self) -> IntArray:
        """Number of samples in each unit."""
        return np.bincount(self.of_N).astype(np.int64)

    @property
    def num(self) -> int:
        """The number of units."""
        return len(self.sizes_G)

    @property
    def are_groups(self) -> bool:
        """Whether some unit has several samples."""
        return self.num < len(self.of_N)

    @property
    def effective(self) -> float:
        """Effective number of units (Kish 1965); equal to `num` when all units have the same size."""
        return len(self.of_N) ** 2 / float((self.sizes_G.astype(np.float64) ** 2).sum())

    def take(self, rows: npt.NDArray[Any]) -> Units:
        """The units of some samples, renumbered. rows: a boolean mask or row numbers."""
        _, of_M = np.unique(self.of_N[rows], return_inverse=True)
        return Units(of_M.astype(np.int64))

    def per_class(self, labels_N: IntArray, num_classes: int) -> IntArray:
        """Number of units with samples of each class (K)."""
        pairs_P = np.unique(self.of_N * num_classes + labels_N)
        return np.bincount(pairs_P % num_classes, minlength=num_classes).astype(np.int64)


def spread(influence_N: FloatArray, units: Units) -> Spread:
    """Variance, without strata, of a score over all samples, such as accuracy or a mean."""
    if not influence_N.size:
        raise DataError("there are no samples to measure")
    return class_spread(influence_N, units, np.zeros(len(influence_N), np.int64), np.zeros(1), weight=0.0)[0]


def class_spread(
    influence_N: FloatArray, units: Units, labels_N: IntArray, prior_K: FloatArray, *, weight: float = PRIOR_WEIGHT
) -> tuple[Spread, float]:
    """Variance stratified by class, and the design effect: its ratio to that of independent samples, at least 1.

    prior_K: variance of one sample's influence in each class if all classes were equally hard. weight: of the prior, in
    units.
    """
    strata_N, prior_H = _strata(units, labels_N, prior_K)
    single = Units.alone(len(labels_N))
    if not units.are_groups:
        return _stratified(influence_N, single, strata_N, prior_H, weight=weight), 1.0
    # The design effect is estimated without the prior, which has no information on how alike samples of a group are.
    plain, grouped = (
        _stratified(influence_N, each, strata_N, prior_H, weight=0.0).variance for each in (single, units)
    )
    effect = max(1.0, grouped / plain) if plain > 0 and grouped > 0 else 1.0
    whole = _stratified(influence_N, units, strata_N, prior_H * effect, weight=weight)
    # A variance below that of independent samples is chance: grouping cannot make samples more informative.
    least = _stratified(influence_N, single, strata_N, prior_H, weight=weight).variance
    return Spread(max(whole.variance, least), whole.degrees), effect


def _strata(units: Units, labels_N: IntArray, prior_K: FloatArray) -> tuple[IntArray, FloatArray]:
    """Stratum of each sample (N), and the prior of each stratum (H).

    Strata are the classes, or one stratum of all samples where a unit has samples of several classes.
    """
    first_G = np.zeros(units.num, np.int64)
    first_G[units.of_N] = labels_N
    if np.array_equal(first_G[units.of_N], labels_N):
        return labels_N, prior_K
    return np.zeros_like(labels_N), np.array([float(prior_K[labels_N].mean())])


def _stratified(
    influence_N: FloatArray, units: Units, strata_N: IntArray, prior_H: FloatArray, *, weight: float
) -> Spread:
    num_strata = len(prior_H)
    stratum_G = np.zeros(units.num, np.int64)
    stratum_G[units.of_N] = strata_N
    sums_G: FloatArray = np.bincount(units.of_N, influence_N).astype(np.float64)
    sizes_G = units.sizes_G.astype(np.float64)

    def total(values_G: FloatArray) -> FloatArray:
        return np.bincount(stratum_G, values_G, minlength=num_strata).astype(np.float64)

    count_H, size_H = total(np.ones(units.num)), total(sizes_G)
    here_H = count_H > 0
    count_H, size_H, prior_H = count_H[here_H], size_H[here_H], prior_H[here_H]
    squares_H = np.maximum(total(sums_G**2)[here_H] - total(sums_G)[here_H] ** 2 / count_H, 0.0)
    effective_H = size_H**2 / total(sizes_G**2)[here_H]
    known_H = count_H - 1 + weight > 0
    per_unit_H = np.divide(
        squares_H + weight * prior_H * size_H / count_H,
        count_H - 1 + weight,
        out=np.zeros_like(squares_H),
        where=known_H,
    )
    variance_H = count_H * per_unit_H
    variance, degrees_H = float(variance_H.sum()), effective_H - 1 + weight
    if not known_H.any() or degrees_H.max() <= 0:
        return Spread(math.nan, math.nan)
    if variance <= 0:
        return Spread(0.0, float(degrees_H.sum()))
    # Satterthwaite (1946): few degrees where one small class brings most of the variance.
    shares_H = np.divide(variance_H**2, degrees_H, out=np.zeros_like(variance_H), where=degrees_H > 0)
    return Spread(variance, max(1.0, variance**2 / float(shares_H.sum())) if shares_H.sum() > 0 else 1.0)
