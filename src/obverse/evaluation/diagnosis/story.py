"""Input of the diagnosis of a finished training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Story:
    """The course of a training and what is known about its data."""

    history: Rows
    """Rows of `EpochEnd`, without the start's."""

    best_epoch: int
    """The epoch that val has chosen, whose weights are shipped or refitted, from 0; -1 is the start."""

    counts: Mapping[str, int]
    """Class -> training samples."""

    num_val: int
    """Samples in val."""

    train_accuracy: float
    """Accuracy of the best epoch's weights on `num_train` training samples, without augmentation and dropout."""

    stop_reason: str | None = None
    """Why the training ended before its last epoch."""

    multi_label: bool = False
    """Whether the data is multi-label. Accuracy is then of whole label sets, and no diagnosis uses it."""

    imbalance_remedy: str | None = None
    """The recommended settings for uneven classes; None where the recipe already corrects for them."""

    is_pretrained: bool = False
    """Whether the model started from pretrained weights."""

    reweighted_at: int | None = None
    """Index (from 0) of the epoch in which deferred class weights begin and so change the training loss."""

    num_train: int = 500
    """Training samples on which `train_accuracy` was measured."""

    train_recall: float | None = None
    """Mean recall over classes on the same samples, where it is known."""

    start: Mapping[str, Any] | None = None
    """Row of epoch 0, the frozen features with a fitted head; None where it was not validated."""

    is_refitted: bool = False
    """Whether the weights that ship are of a second training, of which this is the first."""

    trained_part: Literal["all", "part", "head"] = "all"
    """What of the model is trained: everything, a part of the backbone or low-rank updates of it, or no backbone."""

    @property
    def shipped(self) -> Mapping[str, Any]:
        """The row of the best epoch."""
        return self.start if self.start is not None and self.best_epoch < 0 else self.history[self.best_epoch]

    @property
    def val_accuracy(self) -> float:
        """Val accuracy of the best epoch."""
        return float(self.shipped["val_accuracy"])

    @property
    def chance(self) -> float:
        """Accuracy of always predicting the largest class."""
        return max(self.counts.values()) / max(1, sum(self.counts.values()))

    @property
    def num_classes(self) -> int:
        """Number of classes with training samples."""
        return sum(1 for count in self.counts.values() if count)

    def above_chance(self, share: float) -> float:
        """An accuracy rescaled: 0 for always predicting the largest class, 1 for 100 %."""
        return (share - self.chance) / max(1e-9, 1 - self.chance)

    def noise(self, accuracy: float) -> float:
        """Two standard errors of an accuracy measured on val."""
        return 2 * math.sqrt(max(0.0, accuracy * (1 - accuracy)) / max(1, self.num_val))
