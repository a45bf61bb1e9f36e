"""Nearest neighbours among embeddings by cosine similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
# Rows of the gallery that are compared at once: 8,192 x 768 numbers are 25 MB.
BLOCK = 8192


@dataclass(frozen=True)
class Similar:
    """A labelled sample that a model's encoder holds near to another one."""

    id: str
    label: str
    cosine: float


@dataclass(frozen=True, eq=False)
class LabelledEmbeddings:
    """Embeddings of labelled samples; row i of the array belongs to `ids[i]` and `labels[i]`."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    embeddings_ND: Float32Array

    def similar(self, queries_QD: Float32Array, k: int) -> list[tuple[Similar, ...]]:
        """For each query the k samples nearest to it, the nearest first; all where there are fewer."""
        rows_Qk, cosines_Qk = nearest(queries_QD, self.embeddings_ND, k)
        return [
            tuple(Similar(self.ids[row], self.labels[row], cosine) for row, cosine in zip(rows, cosines, strict=True))
            for rows, cosines in zip(rows_Qk.tolist(), cosines_Qk.tolist(), strict=True)
        ]


def nearest(queries_QD: Float32Array, gallery_ND: Float32Array, k: int) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Row numbers of the k nearest gallery embeddings (Q, k) and their cosines (Q, k), the nearest first.

    Ties go to the earlier row. k must be at most N.
    """
    queries_QD = _unit(queries_QD)
    best_rows: npt.NDArray[np.int64] = np.empty((len(queries_QD), 0), np.int64)
    best_cosines: Float32Array = np.empty((len(queries_QD), 0), np.float32)
    for start in range(0, len(gallery_ND), BLOCK):
        cosines = queries_QD @ _unit(gallery_ND[start : start + BLOCK]).T
        rows = np.broadcast_to(np.arange(start, start + cosines.shape[1]), cosines.shape)
        best_cosines = np.concatenate([best_cosines, cosines], axis=1)
        best_rows = np.concatenate([best_rows, rows], axis=1)
        order = np.argsort(-best_cosines, axis=1, kind="stable")[:, :k]
        best_cosines = np.take_along_axis(best_cosines, order, axis=1)
        best_rows = np.take_along_axis(best_rows, order, axis=1)
    return best_rows, best_cosines


def _unit(rows: Float32Array) -> Float32Array:
    lengths: Float32Array = np.linalg.norm(rows, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    return rows / lengths
