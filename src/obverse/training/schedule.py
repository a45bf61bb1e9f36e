"""Learning-rate schedules: warm-up, then one of several kinds of decay.

Every schedule is a pure function of the run's progress (step, fraction done, finished epochs), so resuming needs no
scheduler state. Cosine: Loshchilov & Hutter 2016. One-cycle: Smith & Topin 2017, without its annihilation phase and
without the cycle of the momentum.
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
    """Factor of the base learning rate at step 0, 1, ...

    fraction_done: fraction of the time after warm-up, 0 to 1, by steps or by the clock. num_drops: how often a plateau
    has lowered the rate.
    """
    warm = (step + 1) / warmup_steps if step < warmup_steps else 1.0
    # The minimum: under a time budget that ends during warm-up, the rate still decays to its floor.
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
    """Half-cosine interpolation from start to end."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


def plateau_drops(
    spec: ScheduleSpec, history: Sequence[Mapping[str, Any]], *, metric: str, warmup_epochs: float
) -> int:
    """Number of times that a plateau has lowered the rate, from the finished epochs after warm-up."""
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
