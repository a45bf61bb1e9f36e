"""Model outputs for a set of samples, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        return _changed([self], tuple(self.ids[place] for place in places), lambda parts: parts[0][index])

    @staticmethod
    def joined(parts: Sequence[Outputs]) -> Outputs:
        """All rows of several outputs of one model, in order."""
        return _changed(parts, tuple(name for part in parts for name in part.ids), np.concatenate)


def _changed(parts: Sequence[Outputs], ids: tuple[str, ...], change: Callable[[list[Array]], Array]) -> Outputs:
    """Outputs whose arrays are each `change` applied to that array of every part."""
    first = parts[0]
    return Outputs(
        ids,
        change([part.truth for part in parts]),
        change([part.logits_NK for part in parts]),
        change([part.embeddings_ND for part in parts]),
        tuple(change([part.alone_VNK[view] for part in parts]) for view in range(len(first.alone_VNK))),
        tuple(change([part.grades_VNK[view] for part in parts]) for view in range(len(first.grades_VNK))),
    )
