"""The learning rate at a step: a warm-up, then down by one of several kinds. It never rises at the end.

Every kind is a pure function of where the run stands (step, share done, finished epochs), so a resumed run needs no
state of a scheduler. Cosine: Loshchilov & Hutter 2016. One-cycle: Smith & Topin 2017, without its second annihilation
phase and without the cycle of the momentum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from obverse.evaluation import is_better
from obverse.recipe import ScheduleSpec

# Smith & Topin 2017, as fastai and torch.optim.lr_scheduler.OneCycleLR set them.
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25


def rate_factor(spec: ScheduleSpec, *, step: int, warmup_steps: int, fraction_done: float, num_drops: int = 0) -> float:
    """The share of the base rate for step 0, 1, ...

    fraction_done: how much of the time after warm-up has passed, 0 to 1, by steps or by the clock. num_drops: of a
    plateau.
    """
    warm = (step + 1) / warmup_steps if step < warmup_steps else 1.0
    # The smaller one: under a time budget that ends during warm-up the rate still comes down to its floor.
    return min(warm, _after_warmup(spec, min(1.0, max(0.0, fraction_done)), num_drops))


def _after_warmup(spec: ScheduleSpec, done: float, num_drops: int) -> float:
    low = spec.min_lr_fraction
    if spec.kind == "constant":
        return 1.0
    if spec.kind == "cosine":
        return _cosine(1.0, low, done)
    if spec.kind == "one-cycle":
        if done < ONE_CYCLE_RISE:
            return _cosine(ONE_CYCLE_START, 1.0, done / ONE_CYCLE_RISE)
        return _cosine(1.0, low, (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))
    if spec.kind == "step":
        num_drops = sum(done >= place for place in spec.drop_at)
    return max(low, spec.drop_factor**num_drops)


def _cosine(start: float, end: float, done: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


def plateau_drops(
    spec: ScheduleSpec, history: Sequence[Mapping[str, Any]], *, metric: str, warmup_epochs: float
) -> int:
    """How often a plateau has lowered the rate, read from the finished epochs; epochs of the warm-up do not count."""
    if spec.kind != "plateau":
        return 0
    best: float | None = None
    drops = waited = 0
    for row in history[math.ceil(warmup_epochs) :]:
        if is_better(metric, row["select_value"], best):
            best, waited = row["select_value"], 0
        else:
            waited += 1
        if waited == spec.patience:
            drops, waited = drops + 1, 0
    return drops
