"""Targets of the loss, from class labels or label sets."""

from __future__ import annotations

import torch
from torch.nn import functional


def label_targets(labels_N: torch.Tensor, label_sets_NK: torch.Tensor | None, num_classes: int) -> torch.Tensor:
    """Targets (N, K): the label sets as ones and zeros if given, else the labels one-hot."""
    return hard_targets(labels_N, num_classes) if label_sets_NK is None else label_sets_NK.float()


def hard_targets(labels_N: torch.Tensor, num_classes: int) -> torch.Tensor:
    """One-hot targets (N, K); an unknown label (-1) gives a row of zeros, whose weight is 0."""
    known_N1 = (labels_N >= 0).unsqueeze(1)
    return functional.one_hot(labels_N.clamp(min=0), num_classes).float() * known_N1
