"""Probabilities and decisions for numpy arrays, computed by the same code as for tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse.errors import DataError

from .blocks import in_blocks
from .kinds import Kind


def softmax(logits_NK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities from logits; a NaN row stays NaN."""
    probabilities_NK: npt.NDArray[np.float32] = torch.softmax(torch.from_numpy(logits_NK), -1).numpy()
    return probabilities_NK


def to_probabilities(logits_NK: npt.NDArray[np.float32], kind: Kind) -> npt.NDArray[np.float32]:
    """Probabilities (N, K) from class logits (N, K); a NaN row stays NaN."""
    probabilities_NK: npt.NDArray[np.float32] = kind.probabilities(torch.from_numpy(logits_NK)).numpy()
    return probabilities_NK


def to_logits(probabilities_NK: npt.NDArray[np.floating[Any]], kind: Kind) -> npt.NDArray[np.float32]:
    """Class logits (N, K) with these probabilities, the inverse of `to_probabilities`; finite for 0 and 1, too."""
    tiny = float(np.finfo(np.float32).tiny)
    exact_NK: npt.NDArray[np.float64] = probabilities_NK.astype(np.float64)
    logits_NK = np.log(exact_NK.clip(min=tiny))
    if kind.is_set:
        logits_NK = logits_NK - np.log((1 - exact_NK).clip(min=tiny))
    single_NK: npt.NDArray[np.float32] = logits_NK.astype(np.float32)
    return single_NK


def to_answers(probabilities_NK: npt.NDArray[np.floating[Any]], kind: Kind) -> npt.NDArray[Any]:
    """Decisions of `kind`: class indices (N), -1 for a row of NaN; or label sets (N, K)."""

    def decided(rows: slice) -> torch.Tensor:
        return kind.decide(torch.tensor(probabilities_NK[rows], dtype=torch.float64))

    answers: npt.NDArray[Any] = in_blocks(decided, *probabilities_NK.shape).numpy()
    return answers


def require_numbers(rows_NX: npt.NDArray[np.float32], names: Sequence[str]) -> None:
    """DataError, naming the first such sample, when a row has values that are not finite, for example by overflow."""
    wrong_N = ~np.isfinite(rows_NX).all(axis=1)
    if wrong_N.any():
        raise DataError(f"the model's answer to {names[int(wrong_N.argmax())]!r} is no finite number; the model is "
                        "damaged, or was not made for pictures like it")  # fmt: skip
