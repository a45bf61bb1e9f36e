"""Model outputs for a set of samples, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """Class logits and embeddings of samples, with their truth; row i of each array belongs to `ids[i]`."""

    ids: tuple[str, ...]

    truth: Array
    """Class indices, int64 (N), -1 where unknown; for multi-label data, which classes a sample has, bool (N, K)."""

    logits_NK: Float32Array

    embeddings_ND: Float32Array
    """Pooled features; (N, 0) where they were not asked for."""

    alone_VNK: tuple[Float32Array, ...]
    """For each view, class logits of the whole model given that view alone; NaN where the view is missing."""

    grades_VNK: tuple[Float32Array, ...] = ()
    """Class logits of every view's own head, where views have one; NaN where that view is missing."""

    def rows(self, places: Sequence[int]) -> Outputs:
        """The rows at `places`, in that order."""
        index = np.asarray(places, np.int64)
        return self._with(tuple(self.ids[place] for place in places), [array[index] for array in self._arrays()])

    @staticmethod
    def joined(parts: Iterable[Outputs]) -> Outputs:
        """All rows of one or more outputs of one model, in order. The parts of an iterator are not kept meanwhile."""
        ids: list[str] = []
        columns: list[_Column] = []
        for part in parts:
            ids += part.ids
            columns = columns or [_Column(array) for array in part._arrays()]
            for column, array in zip(columns, part._arrays(), strict=True):
                column.add(array)
        return part._with(tuple(ids), [column.whole() for column in columns])

    def _arrays(self) -> list[Array]:
        return [self.truth, self.logits_NK, self.embeddings_ND, *self.alone_VNK, *self.grades_VNK]

    def _with(self, ids: tuple[str, ...], arrays: Sequence[Array]) -> Outputs:
        """Outputs with other rows. arrays: in the order of `_arrays`."""
        truth, logits_NK, embeddings_ND, *of_views = arrays
        num = len(self.alone_VNK)
        return Outputs(ids, truth, logits_NK, embeddings_ND, tuple(of_views[:num]), tuple(of_views[num:]))


class _Column:
    """Rows of one array that come block by block. The bytes grow in place, so that they are in memory only once."""

    def __init__(self, like: Array) -> None:
        self._shape, self._dtype = like.shape[1:], like.dtype
        self._num, self._bytes = 0, bytearray()

    def add(self, rows: Array) -> None:
        self._num += len(rows)
        self._bytes += rows.tobytes()

    def whole(self) -> Array:
        """All rows; nothing can be added afterwards."""
        return np.ndarray((self._num, *self._shape), self._dtype, self._bytes)
