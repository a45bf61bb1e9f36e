"""Yes-or-no judgements about a finished training, shared by several diagnoses.

A value measured on few samples must pass its threshold by two standard errors, or with the far end of its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from obverse.evaluation.selection import LOWER_IS_BETTER
from obverse.metrics import wilson_interval

from .story import Rows, Story

UNDERFIT_SHARE = 0.5
"""Share of the way from chance to 100 % below which a model under-fits its own training samples."""
STILL_RISING = 0.01
"""Gain of accuracy over the last fifth of the epochs; a loss must fall by twice that share."""


def is_stuck(story: Story) -> bool:
    """Whether no epoch is better than chance, measured on enough samples to tell."""
    best = max(float(row["val_accuracy"]) for row in (*story.history, story.shipped))
    limit = story.chance + story.noise(story.chance)
    most = share_end(best, story.num_val, upper=True)
    return (
        best <= limit
        and story.above_chance(most) < UNDERFIT_SHARE
        and story.train_accuracy <= max(limit, story.chance + 0.05)
        and story.above_chance(share_end(story.train_accuracy, story.num_train, upper=True)) < UNDERFIT_SHARE
        and all(_is_constant(story, row) for row in story.history)
    )


def is_underfit(story: Story) -> bool:
    """Whether the model gets less than half of the way from chance to 100 % on its own training samples.

    Must hold for accuracy (chance: always the largest class) and for mean recall (chance: guessing), because a model
    that recognises rare classes may be less accurate than one that never predicts them.
    """
    values = [story.above_chance(share_end(story.train_accuracy, story.num_train, upper=True))]
    shipped = story.shipped
    guess = {"balanced_accuracy": 1.0, "macro_f1": 2 * story.chance / (1 + story.chance)}.get(str(shipped["select"]))
    shares = [] if guess is None else [(float(shipped["select_value"]), guess / max(1, story.num_classes))]
    shares += [] if story.train_recall is None else [(story.train_recall, 1 / max(1, story.num_classes))]
    values += [(share - by_guess) / max(1e-9, 1 - by_guess) for share, by_guess in shares]
    return max(values) < UNDERFIT_SHARE


def share_end(share: float, num: int, *, upper: bool) -> float:
    """One end of Wilson's 95 % interval of a share."""
    interval = wilson_interval(min(num, max(0, round(share * num))), num) if num > 0 else (0.0, 1.0)
    return interval[1] if upper else interval[0]


def gap_noise(story: Story) -> float:
    """Two standard errors of train accuracy minus val accuracy."""
    of_train = story.train_accuracy * (1 - story.train_accuracy) / max(1, story.num_train)
    # One correct and one wrong sample are added, so that an all-correct val set does not get a standard error of 0.
    hits = story.val_accuracy * story.num_val + 1
    of_val = hits * (story.num_val + 2 - hits) / (story.num_val + 2) ** 2 / max(1, story.num_val)
    return 2 * math.sqrt(max(0.0, of_train) + of_val)


def is_other_loss(story: Story, epoch: int, usual: float) -> bool:
    """Whether a jump of the training loss comes from a changed definition of the loss, not from a worse model.

    So it is when deferred class weights begin, or when the loss stays high while val does not get worse.
    """
    begin = story.reweighted_at
    if begin is not None and begin <= epoch <= begin + 3:
        return True  # the median of the last three epochs still includes losses from before the change
    row, before = story.history[epoch], story.history[epoch - 1]
    is_worse = float(row["val_loss"]) > max(1.2 * float(before["val_loss"]), float(before["val_loss"]) + 0.1)
    is_worse = is_worse or float(before["val_accuracy"]) - float(row["val_accuracy"]) > max(
        0.02, story.noise(story.val_accuracy)
    )
    after = [float(later["train_loss"]) for later in story.history[epoch + 1 : epoch + 3]]
    comes_back = not after or min(after) < (usual + float(row["train_loss"])) / 2
    return not is_worse and not comes_back


def _is_constant(story: Story, row: Mapping[str, Any]) -> bool:
    """Whether an epoch's balanced accuracy or macro F1 is that of predicting one class for all samples.

    True when epochs are selected by another metric, which does not tell. Accuracy alone is not enough: finding rare
    classes may cost accuracy, which then stays below that of always predicting the largest class.
    """
    share, num_classes = story.chance, story.num_classes
    constant = {"balanced_accuracy": 1.0, "macro_f1": 2 * share / (1 + share)}.get(str(row["select"]))
    if constant is None:
        return True
    limit = constant / num_classes
    return float(row["select_value"]) <= limit + story.noise(limit)


def all_finite(history: Rows) -> bool:
    """Whether every loss is a number."""
    return all(math.isfinite(float(row[name])) for row in history for name in ("train_loss", "val_loss"))


def has_grown(story: Story) -> bool:
    """Whether the training loss ends far above its lowest and above its first value."""
    losses = [float(row["train_loss"]) for row in story.history]
    if story.reweighted_at is not None and story.reweighted_at + 1 < len(losses):
        losses = losses[story.reweighted_at + 1 :]
    return losses[-1] > 2 * min(losses) + 1 and losses[-1] > losses[0]


def selected(history: Rows) -> list[float]:
    """The selection metric of each epoch."""
    return [float(row["select_value"]) for row in history]


def is_too_short(story: Story) -> bool:
    """Whether the best epoch is in the last fifth, and that fifth improved on the earlier epochs by more than noise."""
    values, select = selected(story.history), story.history[-1]["select"]
    part = max(1, len(values) // 5)
    before, late = values[:-part], values[-part:]
    if len(values) < 3 or story.best_epoch < len(before) or is_stuck(story) or _is_getting_worse(story):
        return False
    if select in LOWER_IS_BETTER:
        return min(late) < min(before) * (1 - 2 * STILL_RISING)
    return max(late) > max(before) + max(STILL_RISING, story.noise(max(late)) / 2)


def _is_getting_worse(story: Story) -> bool:
    """Whether the last epoch is no better than the best of the epochs before the last fifth."""
    values, select = selected(story.history), story.history[-1]["select"]
    before = values[: -max(1, len(values) // 5)]
    if not before:
        return False
    return values[-1] >= min(before) if select in LOWER_IS_BETTER else values[-1] <= max(before)


def has_fallen(story: Story) -> bool:
    """Whether the selection metric of the later epochs lies below that of the first, beyond noise."""
    first, *later = selected(story.history)
    if story.history[0]["select"] in LOWER_IS_BETTER:
        return median(later) > first * (1 + 2 * STILL_RISING)
    return median(later) < first - max(STILL_RISING, story.noise(first) / 2)
