"""What a finished training looks like, in words, each with what to try (requirement B7).

A pure function of the history, the class counts and the accuracy on training samples without augmentation and dropout;
it neither measures nor changes anything. The thresholds are rules of thumb, wide enough that a healthy run of a few
hundred samples says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from .selection import LOWER_IS_BETTER

OVERFIT_GAP = 0.10
UNDERFIT_SHARE = 0.5
FLUCTUATION = 0.10
SPIKE_FACTOR, SPIKE_NATS = 1.5, 0.25
FEW_PER_CLASS = 20
IMBALANCE = 20
STILL_RISING = 0.01  # of accuracy over the last fifth of the epochs; a loss must fall by twice that share

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Diagnosis:
    """One finding: code for programs, what was seen, and what to try."""

    code: str
    what: str
    advice: str

    @property
    def sentence(self) -> str:
        """For the console."""
        return f"{self.what}. {self.advice}."


@dataclass(frozen=True)
class Story:
    """What there is to judge by.

    history: rows of `EpochEnd`. counts: class -> training samples. train_accuracy: of the shipped weights on training
    samples without augmentation and dropout. best_epoch counts from 0. multi_label: accuracy is then of whole label
    sets, and what is judged by it or by the largest class is left out. imbalance_remedy: settings that would make up
    for uneven classes; None where the recipe has some.
    """

    history: Rows
    best_epoch: int
    counts: Mapping[str, int]
    num_val: int
    train_accuracy: float
    stop_reason: str | None = None
    multi_label: bool = False
    imbalance_remedy: str | None = None

    @property
    def val_accuracy(self) -> float:
        """Of the shipped weights."""
        return float(self.history[self.best_epoch]["val_accuracy"])

    @property
    def chance(self) -> float:
        """Accuracy of always saying the largest class."""
        return max(self.counts.values()) / max(1, sum(self.counts.values()))

    def noise(self, accuracy: float) -> float:
        """Two standard errors of an accuracy measured on val."""
        return 2 * math.sqrt(max(0.0, accuracy * (1 - accuracy)) / max(1, self.num_val))


def diagnose(story: Story) -> list[Diagnosis]:
    """What stands out, the gravest first; empty for a healthy run."""
    if not story.history:
        return []
    if not _all_finite(story.history) or _has_grown(story.history):
        return [*_diverged(story), *_data(story)]
    looks = _LOOKS_AT_SETS if story.multi_label else _LOOKS
    return [finding for look in looks for finding in look(story)]


def _diverged(story: Story) -> Iterator[Diagnosis]:
    first, last = (float(row["train_loss"]) for row in (story.history[0], story.history[-1]))
    yield Diagnosis(
        "diverged",
        f"Training diverged: the loss went from {first:.3g} to {last:.3g}",
        "Try a tenth of optim.lr, a longer schedule.warmup_epochs, optim.clip_norm=1, or runtime.precision=fp32",
    )


def _stuck(story: Story) -> Iterator[Diagnosis]:
    if _is_stuck(story):
        yield Diagnosis(
            "stuck at chance",
            f"The model is stuck at chance: val accuracy {story.val_accuracy:.1%}, always saying the largest class "
            f"gives {story.chance:.1%}",
            "Look whether labels fit the pictures (obverse check), then try optim.lr ten times lower and ten times "
            "higher, pretrained weights, and augment.mirror=0 where classes differ by left and right",
        )


def _spikes(story: Story) -> Iterator[Diagnosis]:
    losses = [float(row["train_loss"]) for row in story.history]
    for epoch in range(1, len(losses)):
        usual = median(losses[max(0, epoch - 3) : epoch])
        if losses[epoch] > SPIKE_FACTOR * usual and losses[epoch] > usual + SPIKE_NATS:
            yield Diagnosis(
                "loss spike",
                f"The training loss jumped from about {usual:.2f} to {losses[epoch]:.2f} in epoch {epoch + 1}",
                "Try optim.clip_norm=1, a lower optim.lr or a longer schedule.warmup_epochs",
            )
            return


def _fluctuation(story: Story) -> Iterator[Diagnosis]:
    values = [float(row["val_accuracy"]) for row in story.history][len(story.history) // 3 :]
    drops = [before - after for before, after in pairwise(values)]
    large = [drop for drop in drops if drop > max(FLUCTUATION, 2 * story.noise(median(values)))]
    if len(large) >= 2 and 4 * len(large) >= len(drops):
        yield Diagnosis(
            "val fluctuates",
            f"Val accuracy fluctuates wildly: it fell by up to {100 * max(large):.0f} points within one epoch",
            "Try a lower optim.lr, a larger training.batch_size, training.ema_decay=0.999, or a larger val split",
        )


def _overfitting(story: Story) -> Iterator[Diagnosis]:
    gap = story.train_accuracy - story.val_accuracy
    if gap > OVERFIT_GAP:
        yield Diagnosis(
            "over-fitting",
            f"The model over-fits: {story.train_accuracy:.1%} on training samples (without augmentation and dropout), "
            f"{story.val_accuracy:.1%} on val, {100 * gap:.0f} points apart",
            "Try more pictures first, then stronger augmentation, pretrained weights, more optim.weight_decay, or "
            "fewer epochs",
        )


def _underfitting(story: Story) -> Iterator[Diagnosis]:
    learned = (story.train_accuracy - story.chance) / max(1e-9, 1 - story.chance)
    if learned < UNDERFIT_SHARE and not _is_stuck(story):
        yield Diagnosis(
            "under-fitting",
            f"The model under-fits: only {story.train_accuracy:.1%} right on its own training samples",
            "Try more epochs, a higher optim.lr, a larger model or input, or weaker augmentation",
        )


def _rate(story: Story) -> Iterator[Diagnosis]:
    rates = [float(row["learning_rate"]) for row in story.history]
    if len(rates) >= 3 and rates[-1] > 0.5 * max(rates):
        yield Diagnosis(
            "learning rate",
            f"The learning rate hardly fell: {rates[-1]:.2g} at the end, {max(rates):.2g} at its peak",
            "Try schedule.kind=cosine, and as many epochs as the run really gets: the last gains come at low rates",
        )


def _stopped(story: Story) -> Iterator[Diagnosis]:
    if story.stop_reason:
        yield Diagnosis(
            "stopped early",
            f"Training stopped early after epoch {len(story.history)}: {story.stop_reason}",
            "If val was still noisy then, try a larger training.early_stopping.patience",
        )


def _edge(story: Story) -> Iterator[Diagnosis]:
    last = len(story.history) - 1
    if story.best_epoch == last and last >= 2 and _is_rising(story.history):
        yield Diagnosis(
            "best epoch is the last",
            f"The last epoch is the best and val {story.history[last]['select']} was still getting better",
            "Train longer: more training.epochs or --minutes",
        )
    if story.best_epoch == 0 and last >= 4 and _has_fallen(story.history):
        yield Diagnosis(
            "best epoch is the first",
            "The first epoch is the best: training made the model worse afterwards",
            "Try a tenth of optim.lr, or freeze more of a pretrained backbone",
        )


def _data(story: Story) -> Iterator[Diagnosis]:
    counts = {name: count for name, count in story.counts.items() if count}
    few = sorted(name for name, count in counts.items() if count < FEW_PER_CLASS)
    if few:
        shown = ", ".join(map(repr, few[:3])) + (" ..." if len(few) > 3 else "")
        yield Diagnosis(
            "too few pictures",
            f"{len(few)} of {len(counts)} classes have fewer than {FEW_PER_CLASS} training samples ({shown})",
            "Add pictures, merge classes, or start from pretrained weights",
        )
    if not story.multi_label and max(counts.values()) > IMBALANCE * min(counts.values()):
        yield Diagnosis(
            "unbalanced classes",
            f"The largest class has {max(counts.values())} training samples, the smallest {min(counts.values())}",
            f"Try {story.imbalance_remedy}, and judge by balanced accuracy (training.select=balanced_accuracy)"
            if story.imbalance_remedy
            else "Look at the rare classes' own rows; the recipe makes up for it, more pictures of them do more",
        )


def _is_stuck(story: Story) -> bool:
    best = max(float(row["val_accuracy"]) for row in story.history)
    limit = story.chance + story.noise(story.chance)
    return (
        best <= limit
        and story.train_accuracy <= max(limit, story.chance + 0.05)
        and all(_is_constant(story, row) for row in story.history)
    )


def _is_constant(story: Story, row: Mapping[str, Any]) -> bool:
    """Whether a metric that counts classes alike is that of one answer for all; other metrics do not tell.

    Rare classes that are found cost accuracy, which may then stay below that of always saying the largest class.
    """
    share, num_classes = story.chance, sum(1 for count in story.counts.values() if count)
    constant = {"balanced_accuracy": 1.0, "macro_f1": 2 * share / (1 + share)}.get(str(row["select"]))
    if constant is None:
        return True
    limit = constant / num_classes
    return float(row["select_value"]) <= limit + story.noise(limit)


def _all_finite(history: Rows) -> bool:
    return all(math.isfinite(float(row[name])) for row in history for name in ("train_loss", "val_loss"))


def _has_grown(history: Rows) -> bool:
    losses = [float(row["train_loss"]) for row in history]
    return losses[-1] > 2 * min(losses) + 1 and losses[-1] > losses[0]


def _is_rising(history: Rows) -> bool:
    """Whether the selection metric gained more than noise in the last fifth of the epochs."""
    values, select = [float(row["select_value"]) for row in history], history[-1]["select"]
    before = values[: -max(1, len(values) // 5)]
    if select in LOWER_IS_BETTER:
        return values[-1] < min(before) * (1 - 2 * STILL_RISING)
    return values[-1] > max(before) + STILL_RISING


def _has_fallen(history: Rows) -> bool:
    """Whether the selection metric of the later epochs lies below that of the first."""
    first, *later = (float(row["select_value"]) for row in history)
    if history[0]["select"] in LOWER_IS_BETTER:
        return median(later) > first * (1 + 2 * STILL_RISING)
    return median(later) < first - STILL_RISING


_LOOKS: tuple[Callable[[Story], Iterator[Diagnosis]], ...] = (
    _stuck, _spikes, _fluctuation, _overfitting, _underfitting, _rate, _stopped, _edge, _data,
)  # fmt: skip
_LOOKS_AT_SETS = (_spikes, _rate, _stopped, _edge, _data)
