"""Early stopping, whose patience counts only after warm-up, `min_epochs` and `min_fraction`."""

from __future__ import annotations

from obverse.recipe import EarlyStopping


def should_stop(
    spec: EarlyStopping | None, *, epoch: int, best_epoch: int, warmup_epochs: float, num_epochs: float
) -> bool:
    """Whether `patience` epochs have passed without a better one.

    epoch: index (from 0) of the epoch that has just ended. num_epochs: length of the whole run.
    """
    if spec is None:
        return False
    first_counted = max(warmup_epochs, spec.min_epochs, round(spec.min_fraction * num_epochs, 6))
    return epoch + 1 > first_counted and epoch - max(best_epoch, first_counted - 1) >= spec.patience
