"""Progress of a run as a fraction, by steps or by the clock, the learning rate at it, and early stopping.

State is in `Progress`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from obverse.recipe import EarlyStopping, ResolvedRecipe

from .progress import Progress
from .schedule import plateau_drops, rate_factor


@dataclass(frozen=True)
class Repeat:
    """Length of a second training, which repeats a first one up to its best epoch and selects nothing.

    Its schedule is the whole one of the first training, cut at that epoch: weights at those rates are what val has
    measured and chosen. Epochs count, so more samples mean more steps in the same proportion.
    """

    num_epochs: int
    """Epochs up to the best one. 0: the start was the best, so only the head is fitted."""

    fraction_done: float
    """Fraction of the minutes at the end of the best epoch; used under a time budget."""

    head_strength: float | None = None
    """L2 strength of the head's first fit, which val has measured too; None where the head is not fitted first."""

    @classmethod
    def of(cls, first: Progress, minutes: float | None) -> Repeat:
        """The length of the first training's best epochs. minutes: time budget of each training."""
        num_epochs = first.best_epoch + 1
        done = first.best_row["seconds"] / (60 * minutes) if minutes is not None and num_epochs else 0.0
        return cls(num_epochs, min(1.0, done), first.head_strength)


@dataclass(frozen=True)
class Pace:
    """Under a time budget the clock ends the run and moves the schedule, otherwise the epochs."""

    recipe: ResolvedRecipe
    steps_per_epoch: int
    repeat: Repeat | None = None

    def is_over(self, progress: Progress) -> bool:
        """Whether the epochs or the minutes are used up, or the run was stopped early."""
        if progress.stop_reason is not None:
            return True
        if self.recipe.training.minutes is None:
            return progress.epoch >= (self.repeat.num_epochs if self.repeat else self._num_epochs)
        return self.fraction_done(progress) >= (self.repeat.fraction_done if self.repeat else 1)

    def needs_a_step(self, progress: Progress) -> bool:
        """Whether the first step is still to come, which no time budget forbids: without it nothing is trained."""
        return not progress.step and (self.repeat is None or self.repeat.num_epochs > 0)

    def fraction_done(self, progress: Progress) -> float:
        """Fraction of the whole run, 0 to 1."""
        if self.recipe.training.minutes is not None:
            return min(1.0, progress.seconds / (60 * self.recipe.training.minutes))
        return progress.step / (self._num_epochs * self.steps_per_epoch)

    def seconds(self, progress: Progress) -> float:
        """Seconds that `fraction_done` took. Fitting the head first counts in minutes, but in no steps."""
        if self.recipe.training.minutes is not None:
            return progress.seconds
        return progress.seconds - progress.head_seconds

    def rate(self, progress: Progress) -> float:
        """Learning rate of the next step. The schedule runs over the time that remains after warm-up."""
        spec, fraction = self.recipe.schedule, self.fraction_done(progress)
        warmup_steps = math.ceil(spec.warmup_epochs * self.steps_per_epoch)
        start = warmup_steps / (self._num_epochs * self.steps_per_epoch)
        if self.recipe.training.minutes is None and start < 1:
            fraction = (fraction - start) / (1 - start)
        metric = self.recipe.training.select
        return self.recipe.optim.lr * rate_factor(
            spec,
            step=progress.step,
            warmup_steps=warmup_steps,
            fraction_done=fraction,
            num_drops=plateau_drops(spec, progress.epochs, metric=metric, warmup_epochs=spec.warmup_epochs),
        )

    @property
    def _num_epochs(self) -> int:
        return self.recipe.training.epochs


def should_stop(
    spec: EarlyStopping | None, *, epoch: int, best_epoch: int, warmup_epochs: float, num_epochs: float
) -> bool:
    """Whether `patience` epochs have passed without a better one, after warm-up, `min_epochs` and `min_fraction`.

    epoch: index (from 0) of the epoch that has just ended. num_epochs: length of the whole run.
    """
    if spec is None:
        return False
    first_counted = max(warmup_epochs, spec.min_epochs, round(spec.min_fraction * num_epochs, 6))
    return epoch + 1 > first_counted and epoch - max(best_epoch, first_counted - 1) >= spec.patience
