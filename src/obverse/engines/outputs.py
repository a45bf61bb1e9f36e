"""What a model says of some samples, as arrays."""

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
    """Row i of each array is ids[i]; logits are class logits. NaN where a view is missing, alone_VNK: of the whole
    model when it sees one view only; grades_VNK: of the view's own head, where views have one. embeddings_ND: (N, 0)
    where they were left out. label_sets_NK: of multi-label data which classes a sample has, labels_N then being -1.
    """

    ids: tuple[str, ...]
    labels_N: npt.NDArray[np.int64]
    logits_NK: Float32Array
    embeddings_ND: Float32Array
    alone_VNK: tuple[Float32Array, ...]
    grades_VNK: tuple[Float32Array, ...] = ()
    label_sets_NK: npt.NDArray[np.bool_] | None = None

    @property
    def truth(self) -> Array:
        """Labels (N), or of multi-label data the label sets (N, K)."""
        return self.labels_N if self.label_sets_NK is None else self.label_sets_NK

    def rows(self, places: Sequence[int]) -> Outputs:
        """The rows at `places`, in that order."""
        index = np.asarray(places, np.int64)
        return _changed([self], tuple(self.ids[place] for place in places), lambda parts: parts[0][index])

    @staticmethod
    def joined(parts: Sequence[Outputs]) -> Outputs:
        """All rows of several outputs of one model, in order."""
        return _changed(parts, tuple(name for part in parts for name in part.ids), np.concatenate)


def _changed(parts: Sequence[Outputs], ids: tuple[str, ...], change: Callable[[list[Array]], Array]) -> Outputs:
    """Each array by `change`, from that array of every part."""
    first = parts[0]
    sets = [part.label_sets_NK for part in parts if part.label_sets_NK is not None]
    return Outputs(
        ids,
        change([part.labels_N for part in parts]),
        change([part.logits_NK for part in parts]),
        change([part.embeddings_ND for part in parts]),
        tuple(change([part.alone_VNK[view] for part in parts]) for view in range(len(first.alone_VNK))),
        tuple(change([part.grades_VNK[view] for part in parts]) for view in range(len(first.grades_VNK))),
        change(sets) if sets else None,
    )
