"""Diagnoses of a finished training, each with advice.

A pure function of the history, the class counts and the accuracy on training samples without augmentation and dropout;
it neither measures nor changes anything. The thresholds are rules of thumb, wide enough that a healthy run of a few
hundred samples has no finding. Findings do not contradict each other: a model that is stuck, or does not fit its own
training samples, is not reported as over-fitting them, and no advice asks for the opposite of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from obverse.evaluation.selection import LOWER_IS_BETTER

from .judgements import (
    all_finite,
    gap_noise,
    has_fallen,
    has_grown,
    is_other_loss,
    is_stuck,
    is_too_short,
    is_underfit,
    selected,
)
from .story import Story

# Least gap between train and val accuracy that counts as over-fitting.
OVERFIT_GAP = 0.10
# Least fall of val accuracy from one epoch to the next that counts as fluctuation.
FLUCTUATION = 0.10
# A spike is a training loss above this factor times, and this many nats above, the median of the last three epochs.
SPIKE_FACTOR, SPIKE_NATS = 1.5, 0.25
# Ideas for a model whose first head no later epoch improved, by `Story.trained_part`.
BEYOND_THE_START = {
    "all": "a tenth of optim.lr, finetune.lora or finetune.train_stages, or finetune.train=head",
    "part": "a tenth of optim.lr, or finetune.train=head",
    "head": "finetune.train=all with finetune.lora or finetune.train_stages: the head alone is at its optimum already",
}
# Training samples of a class below which it has too few.
FEW_PER_CLASS = 20
# Ratio of the largest to the smallest class above which classes are unbalanced.
IMBALANCE = 20


@dataclass(frozen=True)
class Diagnosis:
    """A finding about a finished training."""

    code: str
    """Stable name of the diagnosis, for programs."""

    what: str
    """What stands out, with its numbers."""

    advice: str
    """What to try."""

    @property
    def sentence(self) -> str:
        """The diagnosis as text for the console."""
        return f"{self.what}. {self.advice}."


def diagnose(story: Story) -> list[Diagnosis]:
    """Findings about a training, the gravest first; none for a healthy run."""
    if not story.history:
        return []
    findings = _findings(story)
    return [_of_first(finding) for finding in findings] if story.is_refitted else findings


def _of_first(finding: Diagnosis) -> Diagnosis:
    """The finding, where the weights that ship are of a second training."""
    what = finding.what[0].lower() + finding.what[1:]
    return replace(finding, what=f"In the first training (without val's samples), {what}")


def _findings(story: Story) -> list[Diagnosis]:
    if not all_finite(story.history) or has_grown(story):
        return [*_diverged(story), *_data(story)]
    detectors = _DETECTORS_OF_SETS if story.multi_label else _DETECTORS
    return [finding for detect in detectors for finding in detect(story)]


def _diverged(story: Story) -> Iterator[Diagnosis]:
    first, last = (float(row["train_loss"]) for row in (story.history[0], story.history[-1]))
    yield Diagnosis(
        "diverged",
        f"Training diverged: the loss went from {first:.3g} to {last:.3g}",
        "Try a tenth of optim.lr, a longer schedule.warmup_epochs, optim.clip_norm=1, or runtime.precision=fp32",
    )


def _stuck(story: Story) -> Iterator[Diagnosis]:
    if is_stuck(story):
        yield Diagnosis(
            "stuck at chance",
            f"The model is stuck at chance: val accuracy {100 * story.val_accuracy:.1f} %, the largest class is "
            f"{100 * story.chance:.1f} % of train",
            "Look whether labels fit the pictures (obverse check), then try optim.lr ten times lower and ten times "
            f"higher, {'' if story.is_pretrained else 'pretrained weights, '}and augment.mirror=0 where classes differ "
            "by left and right",
        )


def _spikes(story: Story) -> Iterator[Diagnosis]:
    losses = [float(row["train_loss"]) for row in story.history]
    for epoch in range(1, len(losses)):
        usual = median(losses[max(0, epoch - 3) : epoch])
        is_high = losses[epoch] > SPIKE_FACTOR * usual and losses[epoch] > usual + SPIKE_NATS
        if is_high and not is_other_loss(story, epoch, usual):
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
    if gap <= max(OVERFIT_GAP, gap_noise(story)) or is_stuck(story) or is_underfit(story):
        return
    weights = ["pretrained weights"]
    if story.is_pretrained:
        weights = ["freezing more of the backbone"] if story.trained_part != "head" else []
    fewer = [] if is_too_short(story) else ["fewer epochs"]
    ideas = ["stronger augmentation", *weights, "more optim.weight_decay", *fewer]
    yield Diagnosis(
        "over-fitting",
        f"The model over-fits: {100 * story.train_accuracy:.1f} % on training samples (without augmentation and "
        f"dropout), {100 * story.val_accuracy:.1f} % on val, {100 * gap:.0f} points apart",
        f"Try more pictures first, then {', '.join(ideas[:-1])}, or {ideas[-1]}",
    )


def _underfitting(story: Story) -> Iterator[Diagnosis]:
    if is_underfit(story) and not is_stuck(story):
        is_wild = any(list(detect(story)) for detect in (_spikes, _fluctuation, _first_is_best))
        rate = "" if is_wild else "a higher optim.lr, "
        yield Diagnosis(
            "under-fitting",
            f"The model under-fits: only {100 * story.train_accuracy:.1f} % right on its own training samples",
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
    if is_too_short(story):
        select, values = story.history[-1]["select"], selected(story.history)
        part = max(1, len(values) // 5)
        best = min if select in LOWER_IS_BETTER else max
        yield Diagnosis(
            "too short",
            f"Training was too short: val {select} was still getting better when it ended, from "
            f"{best(values[:-part]):.4g} to {best(values[-part:]):.4g} in the last {part} of {len(values)} epochs",
            "Train longer: more training.epochs or --minutes",
        )


def _first_is_best(story: Story) -> Iterator[Diagnosis]:
    if story.best_epoch == 0 and len(story.history) > 4 and has_fallen(story) and not is_stuck(story):
        can_freeze = story.is_pretrained and story.trained_part != "head"
        yield Diagnosis(
            "best epoch is the first",
            "The first epoch is the best: training made the model worse afterwards",
            "Try a tenth of optim.lr" + (", or freeze more of the pretrained backbone" if can_freeze else ""),
        )


def _start_is_best(story: Story) -> Iterator[Diagnosis]:
    if story.start is not None and story.best_epoch < 0:
        select, best = story.start["select"], min if story.start["select"] in LOWER_IS_BETTER else max
        fate = "were the best, and the head alone is refitted" if story.is_refitted else "ship"
        yield Diagnosis(
            "best epoch is the start",
            f"The frozen features with a fitted head (epoch 0) {fate}, because no later epoch was better on val: "
            f"{select} {float(story.start['select_value']):.4g}, then at best {best(selected(story.history)):.4g}",
            f"Try {BEYOND_THE_START[story.trained_part]}",
        )


def _data(story: Story) -> Iterator[Diagnosis]:
    counts = {name: count for name, count in story.counts.items() if count}
    few = sorted(name for name, count in counts.items() if count < FEW_PER_CLASS)
    if few:
        examples = ", ".join(map(repr, few[:3])) + (" ..." if len(few) > 3 else "")
        yield Diagnosis(
            "too few pictures",
            f"{len(few)} of {len(counts)} classes have fewer than {FEW_PER_CLASS} training samples ({examples})",
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


_DETECTORS: tuple[Callable[[Story], Iterator[Diagnosis]], ...] = (
    _stuck, _spikes, _fluctuation, _overfitting, _underfitting, _rate, _stopped, _too_short, _first_is_best,
    _start_is_best, _data,
)  # fmt: skip
_DETECTORS_OF_SETS = (_spikes, _rate, _stopped, _too_short, _first_is_best, _start_is_best, _data)
