"""The learning rate at a step: linear warm-up, then cosine down. It never rises at the end (trap D5)."""

from __future__ import annotations

import math

from obverse.recipe import ScheduleSpec


def rate_factor(spec: ScheduleSpec, *, step: int, warmup_steps: int, fraction_done: float) -> float:
    """The share of the base rate for step 0, 1, ...

    fraction_done: how much of the time after warm-up has passed, 0 to 1, by steps or by the clock.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if spec.kind == "constant":
        return 1.0
    low = spec.min_lr_fraction
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, fraction_done))))
