"""Training events, which the trainer yields, and the interface of observers, which record them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StepEnd:
    """End of an optimizer step. step, epoch and batch count from 1."""

    step: int
    epoch: int
    batch: int
    num_batches: int
    loss: float
    """Mean over the samples of this step."""
    learning_rate: float
    epoch_loss: float
    """Mean over the epoch so far."""
    epoch_accuracy: float
    """Accuracy over the epoch so far."""
    pictures: int
    """Pictures in this epoch so far."""
    seconds: float
    """Wall time of this epoch so far, in this process."""
    data_seconds: float
    """Part of `seconds` spent waiting for batches."""
    fraction_done: float
    """Fraction of the whole run, 0 to 1."""
    run_seconds: float
    """Wall time that `fraction_done` of the run took."""


@dataclass(frozen=True)
class EpochEnd:
    """End of an epoch, after validation. epoch counts from 1; 0 is the frozen features with a fitted head.

    Losses and accuracies are means over the epoch; those of training include augmentation and dropout, except in epoch
    0. There, no step was taken and the learning rate is 0.
    """

    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    select: str
    """The metric that selects the best weights."""
    select_value: float
    is_best: bool
    learning_rate: float
    pictures_per_second: float
    data_wait: float
    """Fraction of the time spent waiting for batches."""
    seconds: float


@dataclass(frozen=True)
class CheckpointSaved:
    """Completion of a checkpoint on disk."""

    step: int
    path: str


@dataclass(frozen=True)
class Message:
    """Message for the user."""

    text: str


@dataclass(frozen=True)
class RunFinished:
    """End of a run, after the evaluation of its last split: all files are in the run folder."""

    step: int
    """Step of the shipped weights' training at its end."""
    split: str
    """`test`, or `val` where there is no test split."""
    metrics: dict[str, float]
    """Metric -> value on the split."""
    recipe: str
    """Path of the resolved recipe."""
    report: str
    """Path of report.html of the split."""
    bundle: str
    """Path of the bundle's folder."""
    confusion: str | None
    """Path of the confusion matrix as a PNG file; None for label sets."""

    @property
    def scalars(self) -> dict[str, float]:
        """The metrics for trackers, named after the split."""
        return {f"{self.split}/{name}": value for name, value in self.metrics.items()}


Event = StepEnd | EpochEnd | CheckpointSaved | Message | RunFinished


def epoch_scalars(event: EpochEnd) -> dict[str, float]:
    """The scalars of an epoch for trackers, by name."""
    return {
        "loss/train": event.train_loss,
        "loss/val": event.val_loss,
        "accuracy/train": event.train_accuracy,
        "accuracy/val": event.val_accuracy,
        "learning_rate": event.learning_rate,
        "pictures_per_second": event.pictures_per_second,
    }


class Observer(Protocol):
    """Recipient of training events."""

    def notify(self, event: Event) -> None:
        """Handle one event."""

    def close(self) -> None:
        """Release resources; no event follows."""
