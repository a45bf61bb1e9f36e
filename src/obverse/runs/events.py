"""What happens during training. The trainer yields these; observers write them down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StepEnd:
    """After an optimizer step. step, epoch and batch count from 1; loss is the step's mean.

    seconds, data_seconds: of this epoch in this process. run_seconds: the time in which `fraction_done` of the run was
    done.
    """

    step: int
    epoch: int
    batch: int
    num_batches: int
    loss: float
    learning_rate: float
    epoch_loss: float
    epoch_accuracy: float
    pictures: int
    seconds: float
    data_seconds: float
    fraction_done: float
    run_seconds: float


@dataclass(frozen=True)
class EpochEnd:
    """After validation. Epochs count from 1. Means over the epoch; train figures are with augmentation and dropout."""

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    select: str
    select_value: float
    is_best: bool
    learning_rate: float
    pictures_per_second: float
    data_wait: float
    seconds: float


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint is on disk."""

    step: int
    path: str


@dataclass(frozen=True)
class Message:
    """A sentence for the user."""

    text: str


Event = StepEnd | EpochEnd | CheckpointSaved | Message


def epoch_scalars(event: EpochEnd) -> dict[str, float]:
    """The curves that trackers draw, by name."""
    return {
        "loss/train": event.train_loss,
        "loss/val": event.val_loss,
        "accuracy/train": event.train_accuracy,
        "accuracy/val": event.val_accuracy,
        "learning_rate": event.learning_rate,
        "pictures_per_second": event.pictures_per_second,
    }


class Observer(Protocol):
    """Writes events somewhere."""

    def notify(self, event: Event) -> None:
        """Take one event."""

    def close(self) -> None:
        """No more events come."""
