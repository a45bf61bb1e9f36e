"""The metric by which the best epoch is chosen, always on val."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from obverse import metrics
from obverse.recipe import Decode

from .decoding import decide
from .evaluate import softmax

LOWER_IS_BETTER = frozenset({"loss", "mae"})


def selection_value(
    name: str, logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64], *, decode: Decode = "mode"
) -> float:
    """The value of accuracy, balanced_accuracy, macro_f1, loss or mae."""
    if name == "loss":
        return mean_loss(logits_NK, labels_N)
    confusion_KK = metrics.confusion_matrix(
        labels_N, decide(softmax(logits_NK), decode), num_classes=logits_NK.shape[1]
    )
    statistics = {
        "accuracy": metrics.accuracy,
        "balanced_accuracy": metrics.balanced_accuracy,
        "macro_f1": metrics.macro_f1,
        "mae": metrics.mean_absolute_error,
    }
    return float(statistics[name](confusion_KK))


def mean_loss(logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64]) -> float:
    """Mean cross entropy in nats."""
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits_NK).double(), torch.from_numpy(labels_N))
    return float(loss)


def is_better(name: str, value: float, best: float | None) -> bool:
    """Whether `value` beats `best`."""
    if best is None:
        return True
    return value < best if name in LOWER_IS_BETTER else value > best
