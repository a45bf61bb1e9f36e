"""Probabilities and answers of numpy arrays, row by row, by the same code as of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse.errors import DataError
from obverse.recipe import Decode, OutputSpec

from .logits import decide, probabilities


def softmax(logits_NK: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities from logits; a NaN row stays NaN."""
    probabilities_NK: npt.NDArray[np.float32] = torch.softmax(torch.from_numpy(logits_NK), -1).numpy()
    return probabilities_NK


def to_probabilities(logits_NK: npt.NDArray[np.float32], output: OutputSpec) -> npt.NDArray[np.float32]:
    """Probabilities of each class, from class logits; a NaN row stays NaN."""
    probabilities_NK: npt.NDArray[np.float32] = probabilities(torch.from_numpy(logits_NK), output).numpy()
    return probabilities_NK


def decide_array(probabilities_NK: npt.NDArray[np.floating[Any]], decode: Decode) -> npt.NDArray[np.int64]:
    """The class of each row (N), as `decide` chooses it: -1 for a row of NaN, a sample without that view."""
    chosen_N: npt.NDArray[np.int64] = decide(torch.tensor(probabilities_NK, dtype=torch.float64), decode).numpy()
    return chosen_N


def require_numbers(rows_NX: npt.NDArray[np.float32], names: Sequence[str]) -> None:
    """DataError naming the first sample whose row is no finite number: weights or pixels led to an overflow."""
    wrong_N = ~np.isfinite(rows_NX).all(axis=1)
    if wrong_N.any():
        raise DataError(f"the model's answer to {names[int(wrong_N.argmax())]!r} is no finite number; the model is "
                        "damaged, or was not made for pictures like it")  # fmt: skip
