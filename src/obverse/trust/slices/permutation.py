"""Permutation test of the mean loss in a slice against the rest.

The pieces of units (groups, or single samples) inside and outside the slice are exchanged. The statistic is
studentised, which keeps the test valid where the spread differs between the two sides (Chung & Romano 2013). A unit
that lies on both sides makes two pieces: what they share makes the difference vary less than the test assumes, so that
it is cautious.

Pieces of equal size and equal loss are counted, not listed: a permutation is then one draw of a multivariate
hypergeometric distribution, whatever the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obverse.metrics import FloatArray, IntArray, Units

BoolArray = npt.NDArray[np.bool_]
# Draws for every slice, and for those with a p-value up to UNCLEAR on the first draws.
NUM_FIRST, NUM_DRAWS = 999, 9999
UNCLEAR = 0.05
# Digits of a piece's loss that tell pieces apart.
DIGITS = 6


@dataclass(frozen=True, eq=False)
class Pieces:
    """The distinct pieces (V) of units on both sides of a slice, with their numbers."""

    sizes_V: FloatArray
    """Samples of a piece."""

    sums_V: FloatArray
    """Its sum of losses."""

    inside_V: IntArray
    """How many such pieces the slice has."""

    total_V: IntArray
    """How many there are in all."""

    @classmethod
    def of(cls, losses_N: FloatArray, in_slice_N: BoolArray, units: Units) -> Pieces:
        """The pieces of a slice; in_slice_N: whether each sample lies in it."""
        side_N = 2 * units.of_N + in_slice_N
        sizes_P = np.bincount(side_N, minlength=2 * units.num)
        sums_P = np.bincount(side_N, losses_N, minlength=2 * units.num)
        here_P, inside_P = sizes_P > 0, np.arange(2 * units.num) % 2 == 1
        # One complex number for each piece, because NumPy sorts those much faster than rows of two columns.
        pairs_P = sizes_P[here_P] + 1j * np.round(sums_P[here_P], DIGITS)
        distinct_V, of_P = np.unique(pairs_P, return_inverse=True)
        num = len(distinct_V)
        inside_V = np.bincount(of_P, inside_P[here_P], minlength=num).astype(np.int64)
        total_V = np.bincount(of_P, minlength=num).astype(np.int64)
        return cls(distinct_V.real.copy(), distinct_V.imag.copy(), inside_V, total_V)

    def statistic(self, inside_RV: IntArray) -> FloatArray:
        """The studentised difference, slice less rest, for each way to fill the slice (R)."""
        (mean_R, variance_R), (rest_R, of_rest_R) = self._side(inside_RV), self._side(self.total_V - inside_RV)
        statistic_R: FloatArray = (mean_R - rest_R) / np.sqrt(variance_R + of_rest_R + 1e-12)
        return statistic_R

    def _side(self, counts_RV: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean loss of one side, and its variance by the residuals of pieces (R)."""
        num_R, size_R = counts_RV.sum(axis=1), counts_RV @ self.sizes_V
        mean_R = counts_RV @ self.sums_V / size_R
        squares_R = counts_RV @ self.sums_V**2 - 2 * mean_R * (counts_RV @ (self.sums_V * self.sizes_V))
        squares_R += mean_R**2 * (counts_RV @ self.sizes_V**2)
        variance_R = np.maximum(squares_R, 0.0) / size_R**2 * num_R / np.maximum(1, num_R - 1)
        return mean_R, variance_R


def is_worse_p(
    losses_N: FloatArray,
    in_slice_N: BoolArray,
    units: Units,
    generator: np.random.Generator,
    *,
    num_draws: int | None = None,
) -> float:
    """One-sided p-value: how often chance alone makes a slice look at least this much worse than the rest.

    num_draws: number of permutations; None is NUM_FIRST, and NUM_DRAWS where those are unclear.
    """
    pieces = Pieces.of(losses_N, in_slice_N, units)
    if num_draws is not None:
        return _p_value(pieces, generator, num_draws)
    p_value = _p_value(pieces, generator, NUM_FIRST)
    return p_value if p_value > UNCLEAR else _p_value(pieces, generator, NUM_DRAWS)


def _p_value(pieces: Pieces, generator: np.random.Generator, num: int) -> float:
    drawn_RV = generator.multivariate_hypergeometric(
        pieces.total_V, int(pieces.inside_V.sum()), size=num, method="marginals"
    )
    here = float(pieces.statistic(pieces.inside_V[None])[0])
    # The tolerance counts draws that are equal but for rounding.
    as_bad = pieces.statistic(drawn_RV) >= here - 1e-9 * max(1.0, abs(here))
    return float((1 + as_bad.sum()) / (num + 1))
