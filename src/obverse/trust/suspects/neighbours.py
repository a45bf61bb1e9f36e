"""Nearest samples by the cosine of centred features. Samples of one group are not neighbours of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NUM_NEIGHBOURS = 10
"""Neighbours that vote."""

MOST_COMPARED = 20_000
"""Samples among which neighbours are searched; of more, an even part, so that the time grows linearly."""

CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest other samples of each sample, the nearest first."""

    places_NT: npt.NDArray[np.int64]
    """Places of the neighbours; -1 where there are fewer, or where the sample has no features."""

    def shares(self, given_NK: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Share of the neighbours that have each class (N, K); NaN rows without neighbours."""
        has_NT = self.places_NT >= 0
        votes_NTK = given_NK[self.places_NT] & has_NT[:, :, None]
        numbers_N = has_NT.sum(1)
        counts_NK = votes_NTK.sum(1).astype(np.float64)
        shares_NK: npt.NDArray[np.float64] = counts_NK / np.where(numbers_N, numbers_N, np.nan)[:, None]
        return shares_NK


def nearest(
    features_ND: npt.NDArray[np.floating], groups: Sequence[str | None], *, num: int = NUM_NEIGHBOURS
) -> Neighbours:
    """The neighbours of all samples. groups: the group of each sample, None for a sample by itself."""
    directions_ND = features_ND - features_ND.mean(0, dtype=np.float64).astype(features_ND.dtype)
    norms_N = np.linalg.norm(directions_ND, axis=1)
    directions_ND = directions_ND / np.maximum(norms_N, np.finfo(np.float32).tiny)[:, None]
    names = {group: place for place, group in enumerate(dict.fromkeys(g for g in groups if g is not None))}
    # A sample without a group has a number of its own.
    units_N = np.array([names[g] if g is not None else -1 - n for n, g in enumerate(groups)], dtype=np.int64)
    pool_M = np.arange(0, len(groups), 1 + len(groups) // MOST_COMPARED)
    num = min(num, len(pool_M))
    places_NT = np.full((len(groups), num), -1, dtype=np.int64)
    for start in range(0, len(groups), CHUNK):
        rows = slice(start, start + CHUNK)
        cosines_RM = directions_ND[rows] @ directions_ND[pool_M].T
        cosines_RM[units_N[rows, None] == units_N[pool_M]] = -np.inf
        # A stable order, so that ties do not depend on the machine.
        order_RT = np.argsort(-cosines_RM, axis=1, kind="stable")[:, :num]
        is_other_RT = np.isfinite(np.take_along_axis(cosines_RM, order_RT, 1))
        places_NT[rows] = np.where(is_other_RT, pool_M[order_RT], -1)
    return Neighbours(places_NT)


def joined_neighbours(parts: Sequence[tuple[Sequence[int], Neighbours]], num_samples: int) -> Neighbours:
    """Neighbours that were searched in several spaces, as rows of all samples; the first space of a sample wins.

    parts: rows of the samples of a space, and their neighbours there.
    """
    most = max(near.places_NT.shape[1] for _, near in parts)
    places_NT = np.full((num_samples, most), -1, dtype=np.int64)
    is_done_N = np.zeros(num_samples, dtype=np.bool_)
    for rows, near in parts:
        rows_M = np.asarray(rows, dtype=np.int64)
        own_MT = np.where(near.places_NT >= 0, rows_M[near.places_NT], -1)
        new_M = ~is_done_N[rows_M]
        places_NT[rows_M[new_M], : own_MT.shape[1]] = own_MT[new_M]
        is_done_N[rows_M] = True
    return Neighbours(places_NT)
