"""What a finished training looks like, in words, each with what to try.

A pure function of the history, the class counts and the accuracy on training samples without augmentation and dropout;
it neither measures nor changes anything. The thresholds are rules of thumb, wide enough that a healthy run of a few
hundred samples says nothing. What is measured on few samples must pass its threshold by two standard errors, or with
the far end of its interval. Findings do not contradict each other: a model that is stuck, or does not fit its own
training samples, is not said to over-fit them, and no advice asks for the opposite of another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from obverse.metrics import wilson_interval

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

    history: rows of `EpochEnd`. counts: class -> training samples. train_accuracy: of the shipped weights on
    `num_train` training samples without augmentation and dropout; train_recall: the mean over classes of the same,
    where it is known. best_epoch counts from 0. multi_label: accuracy is then of whole label sets, and what is judged
    by it or by the largest class is left out. imbalance_remedy: settings that would make up for uneven classes; None
    where the recipe has some. is_pretrained: whether it began with pretrained weights. reweighted_at: the epoch, from
    0, in which class weights begin that are deferred: the loss is another number from then on.
    """

    history: Rows
    best_epoch: int
    counts: Mapping[str, int]
    num_val: int
    train_accuracy: float
    stop_reason: str | None = None
    multi_label: bool = False
    imbalance_remedy: str | None = None
    is_pretrained: bool = False
    reweighted_at: int | None = None
    num_train: int = 500
    train_recall: float | None = None

    @property
    def val_accuracy(self) -> float:
        """Of the shipped weights."""
        return float(self.history[self.best_epoch]["val_accuracy"])

    @property
    def chance(self) -> float:
        """Accuracy of always saying the largest class."""
        return max(self.counts.values()) / max(1, sum(self.counts.values()))

    @property
    def num_classes(self) -> int:
        """Those with training samples."""
        return sum(1 for count in self.counts.values() if count)

    def above_chance(self, share: float) -> float:
        """0 for an accuracy of always saying the largest class, 1 for one of 100 %."""
        return (share - self.chance) / max(1e-9, 1 - self.chance)

    def noise(self, accuracy: float) -> float:
        """Two standard errors of an accuracy measured on val."""
        return 2 * math.sqrt(max(0.0, accuracy * (1 - accuracy)) / max(1, self.num_val))


def diagnose(story: Story) -> list[Diagnosis]:
    """What stands out, the gravest first; empty for a healthy run."""
    if not story.history:
        return []
    if not _all_finite(story.history) or _has_grown(story):
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
            f"higher, {'' if story.is_pretrained else 'pretrained weights, '}and augment.mirror=0 where classes differ "
            "by left and right",
        )


def _spikes(story: Story) -> Iterator[Diagnosis]:
    losses = [float(row["train_loss"]) for row in story.history]
    for epoch in range(1, len(losses)):
        usual = median(losses[max(0, epoch - 3) : epoch])
        is_high = losses[epoch] > SPIKE_FACTOR * usual and losses[epoch] > usual + SPIKE_NATS
        if is_high and not _is_other_loss(story, epoch, usual):
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
    if gap <= max(OVERFIT_GAP, _gap_noise(story)) or _is_stuck(story) or _is_underfit(story):
        return
    weights = ["freezing more of the backbone"] if story.is_pretrained else ["pretrained weights"]
    fewer = [] if _is_too_short(story) else ["fewer epochs"]
    ideas = ["stronger augmentation", *weights, "more optim.weight_decay", *fewer]
    yield Diagnosis(
        "over-fitting",
        f"The model over-fits: {story.train_accuracy:.1%} on training samples (without augmentation and dropout), "
        f"{story.val_accuracy:.1%} on val, {100 * gap:.0f} points apart",
        f"Try more pictures first, then {', '.join(ideas[:-1])}, or {ideas[-1]}",
    )


def _underfitting(story: Story) -> Iterator[Diagnosis]:
    if _is_underfit(story) and not _is_stuck(story):
        is_wild = any(found for look in (_spikes, _fluctuation, _first_is_best) for found in look(story))
        rate = "" if is_wild else "a higher optim.lr, "
        yield Diagnosis(
            "under-fitting",
            f"The model under-fits: only {story.train_accuracy:.1%} right on its own training samples",
            f"Try more epochs, {rate}a larger model or input, or weaker augmentation",
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


def _too_short(story: Story) -> Iterator[Diagnosis]:
    if _is_too_short(story):
        select, values = story.history[-1]["select"], _selected(story.history)
        part = max(1, len(values) // 5)
        best = min if select in LOWER_IS_BETTER else max
        yield Diagnosis(
            "too short",
            f"Training was too short: val {select} was still getting better when it ended, from "
            f"{best(values[:-part]):.4g} to {best(values[-part:]):.4g} in the last {part} of {len(values)} epochs",
            "Train longer: more training.epochs or --minutes",
        )


def _first_is_best(story: Story) -> Iterator[Diagnosis]:
    if story.best_epoch == 0 and len(story.history) > 4 and _has_fallen(story) and not _is_stuck(story):
        yield Diagnosis(
            "best epoch is the first",
            "The first epoch is the best: training made the model worse afterwards",
            "Try a tenth of optim.lr" + (", or freeze more of the pretrained backbone" if story.is_pretrained else ""),
        )


def _data(story: Story) -> Iterator[Diagnosis]:
    counts = {name: count for name, count in story.counts.items() if count}
    few = sorted(name for name, count in counts.items() if count < FEW_PER_CLASS)
    if few:
        shown = ", ".join(map(repr, few[:3])) + (" ..." if len(few) > 3 else "")
        yield Diagnosis(
            "too few pictures",
            f"{len(few)} of {len(counts)} classes have fewer than {FEW_PER_CLASS} training samples ({shown})",
            "Add pictures, or merge classes"
            if story.is_pretrained
            else "Add pictures, merge classes, or start from pretrained weights",
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
    """Never better than chance, on enough samples: few right answers of few would not tell."""
    best = max(float(row["val_accuracy"]) for row in story.history)
    limit = story.chance + story.noise(story.chance)
    most = share_end(best, story.num_val, upper=True)
    return (
        best <= limit
        and story.above_chance(most) < UNDERFIT_SHARE
        and story.train_accuracy <= max(limit, story.chance + 0.05)
        and story.above_chance(share_end(story.train_accuracy, story.num_train, upper=True)) < UNDERFIT_SHARE
        and all(_is_constant(story, row) for row in story.history)
    )


def _is_underfit(story: Story) -> bool:
    """Less than half of the way from chance to 100 % on its own training samples, whichever way that is counted.

    Accuracy is held against always saying the largest class, recall against guessing; a model that recognises rare
    classes may have less accuracy than one that never says them.
    """
    values = [story.above_chance(share_end(story.train_accuracy, story.num_train, upper=True))]
    shipped = story.history[story.best_epoch]
    guess = {"balanced_accuracy": 1.0, "macro_f1": 2 * story.chance / (1 + story.chance)}.get(str(shipped["select"]))
    shares = [] if guess is None else [(float(shipped["select_value"]), guess / max(1, story.num_classes))]
    shares += [] if story.train_recall is None else [(story.train_recall, 1 / max(1, story.num_classes))]
    values += [(share - by_guess) / max(1e-9, 1 - by_guess) for share, by_guess in shares]
    return max(values) < UNDERFIT_SHARE


def share_end(share: float, num: int, *, upper: bool) -> float:
    """One end of Wilson's 95 % interval of a share."""
    found = wilson_interval(min(num, max(0, round(share * num))), num) if num > 0 else (0.0, 1.0)
    return found[1] if upper else found[0]


def _gap_noise(story: Story) -> float:
    """Two standard errors of train accuracy minus val accuracy."""
    of_train = story.train_accuracy * (1 - story.train_accuracy) / max(1, story.num_train)
    # One more right and one more wrong, so that a val set that is all right is not taken to be certain.
    hits = story.val_accuracy * story.num_val + 1
    of_val = hits * (story.num_val + 2 - hits) / (story.num_val + 2) ** 2 / max(1, story.num_val)
    return 2 * math.sqrt(max(0.0, of_train) + of_val)


def _is_other_loss(story: Story, epoch: int, usual: float) -> bool:
    """Whether a higher loss is one that is counted otherwise from then on, not a worse model.

    Deferred class weights change it, and so may whatever keeps it up while val does not get worse.
    """
    begin = story.reweighted_at
    if begin is not None and begin <= epoch <= begin + 3:
        return True  # the usual loss is still, in part, the one before
    row, before = story.history[epoch], story.history[epoch - 1]
    is_worse = float(row["val_loss"]) > max(1.2 * float(before["val_loss"]), float(before["val_loss"]) + 0.1)
    is_worse = is_worse or float(before["val_accuracy"]) - float(row["val_accuracy"]) > max(
        0.02, story.noise(story.val_accuracy)
    )
    after = [float(later["train_loss"]) for later in story.history[epoch + 1 : epoch + 3]]
    comes_back = not after or min(after) < (usual + float(row["train_loss"])) / 2
    return not is_worse and not comes_back


def _is_constant(story: Story, row: Mapping[str, Any]) -> bool:
    """Whether a metric that counts classes alike is that of one answer for all; other metrics do not tell.

    Rare classes that are found cost accuracy, which may then stay below that of always saying the largest class.
    """
    share, num_classes = story.chance, story.num_classes
    constant = {"balanced_accuracy": 1.0, "macro_f1": 2 * share / (1 + share)}.get(str(row["select"]))
    if constant is None:
        return True
    limit = constant / num_classes
    return float(row["select_value"]) <= limit + story.noise(limit)


def _all_finite(history: Rows) -> bool:
    return all(math.isfinite(float(row[name])) for row in history for name in ("train_loss", "val_loss"))


def _has_grown(story: Story) -> bool:
    losses = [float(row["train_loss"]) for row in story.history]
    if story.reweighted_at is not None and story.reweighted_at + 1 < len(losses):
        losses = losses[story.reweighted_at + 1 :]
    return losses[-1] > 2 * min(losses) + 1 and losses[-1] > losses[0]


def _selected(history: Rows) -> list[float]:
    return [float(row["select_value"]) for row in history]


def _is_too_short(story: Story) -> bool:
    """Whether the shipped epoch is one of the last fifth, and those gained more than noise on all before."""
    values, select = _selected(story.history), story.history[-1]["select"]
    part = max(1, len(values) // 5)
    before, late = values[:-part], values[-part:]
    if len(values) < 3 or story.best_epoch < len(before) or _is_stuck(story) or _is_getting_worse(story):
        return False
    if select in LOWER_IS_BETTER:
        return min(late) < min(before) * (1 - 2 * STILL_RISING)
    return max(late) > max(before) + max(STILL_RISING, story.noise(max(late)) / 2)


def _is_getting_worse(story: Story) -> bool:
    """Whether the last epoch has lost again what the late ones gained: then it is no rise."""
    values, select = _selected(story.history), story.history[-1]["select"]
    before = values[: -max(1, len(values) // 5)]
    if not before:
        return False
    return values[-1] >= min(before) if select in LOWER_IS_BETTER else values[-1] <= max(before)


def _has_fallen(story: Story) -> bool:
    """Whether the selection metric of the later epochs lies below that of the first, beyond noise."""
    first, *later = _selected(story.history)
    if story.history[0]["select"] in LOWER_IS_BETTER:
        return median(later) > first * (1 + 2 * STILL_RISING)
    return median(later) < first - max(STILL_RISING, story.noise(first) / 2)


_LOOKS: tuple[Callable[[Story], Iterator[Diagnosis]], ...] = (
    _stuck, _spikes, _fluctuation, _overfitting, _underfitting, _rate, _stopped, _too_short, _first_is_best, _data,
)  # fmt: skip
_LOOKS_AT_SETS = (_spikes, _rate, _stopped, _too_short, _first_is_best, _data)
