"""Loss targets by kind of answer: what the labels of samples are to the loss, one class or a label set."""

from __future__ import annotations

import torch
from torch.nn import functional


def label_targets(labels_N: torch.Tensor, label_sets_NK: torch.Tensor | None, num_classes: int) -> torch.Tensor:
    """Targets (N, K): a label set as ones and zeros, one class as a distribution that is one-hot."""
    return hard_targets(labels_N, num_classes) if label_sets_NK is None else label_sets_NK.float()


def hard_targets(labels_N: torch.Tensor, num_classes: int) -> torch.Tensor:
    """One-hot targets; a label that is unknown (-1) is a target of zeros and weighs nothing."""
    known_N1 = (labels_N >= 0).unsqueeze(1)
    return functional.one_hot(labels_N.clamp(min=0), num_classes).float() * known_N1
