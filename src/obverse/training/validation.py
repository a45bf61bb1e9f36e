"""Validation: the values of the outputs on val, as of the shipped model, and which epoch is the best by them."""

from __future__ import annotations

import numpy as np
import torch

from obverse.decisions import in_blocks, kind_of
from obverse.engines import Outputs
from obverse.errors import DivergedError
from obverse.evaluation import is_better, selection_value, with_best_prior
from obverse.losses import Objective

from .progress import Progress

# With fewer samples on val, an epoch of the warm-up can be the best one by luck.
SMALL_VAL = 200


def val_values(outputs: Outputs, objective: Objective, select: str) -> tuple[float, float, float]:
    """Selection metric, loss and accuracy."""
    counts, kind = objective.tuned_counts, kind_of(objective.output)
    read = outputs if counts is None else with_best_prior(select, outputs, counts=counts, kind=kind)
    value, loss, accuracy = (
        selection_value(name, read.logits_NK, read.truth, kind) for name in (select, "loss", "accuracy")
    )
    return value, loss, accuracy


def without_number(outputs: Outputs, objective: Objective) -> list[str]:
    """Ids of the samples whose outputs are not finite."""
    logits_NK, kind = outputs.logits_NK, kind_of(objective.output)

    def lost(rows: slice) -> torch.Tensor:
        return kind.probabilities(torch.from_numpy(logits_NK[rows])).isnan().any(1)

    lost_N = in_blocks(lost, *logits_NK.shape).numpy()
    return [outputs.ids[row] for row in np.flatnonzero(lost_N)]


def require_numbers(lost: list[str], step: int) -> None:
    """DivergedError when samples have no finite outputs: weights may diverge in the last step before validation."""
    if lost:
        raise DivergedError(
            f"diverged at step {step}: the outputs on val are no numbers; the samples are "
            f"{', '.join(lost[:8])}{' ...' if len(lost) > 8 else ''}. Try a tenth of optim.lr, or optim.clip_norm=1"
        )


def is_early(progress: Progress, num_val: int, warmup_epochs: float) -> bool:
    """Whether the epoch that has just been trained may ship only until one after the warm-up takes its place.

    Only after epoch 0, the frozen features with a fitted head: fine-tuning first makes them worse.
    """
    has_start = bool(progress.history) and progress.history[0]["epoch"] == 0
    return has_start and num_val < SMALL_VAL and progress.epoch + 1 <= warmup_epochs


def is_best(progress: Progress, select: str, value: float, val_loss: float, *, is_early: bool) -> bool:
    """Whether the epoch is the best so far. Ties go to the lower loss, because a small val is soon all correct.

    The first later one that is at least as good as epoch 0 takes the place of an early epoch.
    """
    if progress.best_is_early and not is_early:
        return not is_better(select, float(progress.history[0]["select_value"]), value)
    if value == progress.best_value:
        return val_loss < float(progress.best_row["val_loss"])
    return is_better(select, value, progress.best_value)


def warm_up_note(num_val: int) -> str:
    """What to say when an epoch has taken the place of one of the warm-up."""
    return f"with {num_val} samples on val an epoch of the warm-up can be the best by luck: later ones decide"
