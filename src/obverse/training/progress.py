"""State of the training loop: all that a checkpoint must hold besides tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter

from obverse.errors import DataError

# Fields that every checkpoint must have; fields that were added in later versions may be missing.
CORE = {
    "step",
    "epoch",
    "batch",
    "seconds",
    "loss_sum",
    "weight",
    "num_correct",
    "num_samples",
    "best_epoch",
    "history",
}


@dataclass
class Progress:
    """Position and statistics of a run."""

    step: int = 0
    """Optimizer steps done."""

    epoch: int = 0
    """Index (from 0) of the epoch of the next batch."""

    batch: int = 0
    """Index (from 0) of the next batch in its epoch."""

    seconds: float = 0.0
    """Training time so far."""

    head_seconds: float = 0.0
    """Part of `seconds` in which the head was fitted first and the start validated; 0 before the fit."""

    head_strength: float | None = None
    """L2 strength with which the head was fitted first; None before the fit."""

    loss_sum: float = 0.0
    """Weighted loss summed over the current epoch; divided by `weight` it is the mean."""

    weight: float = 0.0
    num_correct: float = 0.0
    num_samples: int = 0
    """Samples trained on in the current epoch."""

    best_value: float | None = None
    """Value of the selection metric on val in the best epoch."""

    best_epoch: int = -1
    """Index (from 0) of the best epoch; -1 is the start, where a fitted head was validated (epoch 0), or none yet."""

    best_step: int = -1

    best_is_early: bool = False
    """Whether the best epoch is one of the warm-up that a small val chose; a later one takes its place."""

    stop_reason: str | None = None
    """Why the run was stopped early."""

    num_ema_updates: int = 0

    micro_batch_size: int | None = None
    """Micro-batch size in use; smaller than the recipe's after memory has run out."""

    loss_scale: dict[str, Any] | None = None
    """State of the loss scaler in fp16."""

    history: list[dict[str, Any]] = field(default_factory=list)
    """One row of `EpochEnd` per finished epoch, and before them that of epoch 0 where the start was validated."""

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The rows of the epochs that were trained, without the start's."""
        return [row for row in self.history if row["epoch"] > 0]

    @property
    def best_row(self) -> dict[str, Any]:
        """The row of the best epoch."""
        return next(row for row in self.history if row["epoch"] == self.best_epoch + 1)

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON values, which keep every float exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Progress:
        """The state from `to_json` values; DataError when a required field is missing or invalid."""
        try:
            known = {field.name for field in fields(cls)}
            if missing := sorted(CORE - values.keys()) + sorted(values.keys() - known):
                raise ValueError(f"`{missing[0]}` is missing or unknown")
            progress: Progress = TypeAdapter(cls).validate_python(values)
        except (ValueError, TypeError, AttributeError) as error:
            fault = " ".join(str(error).split())[:200]
            raise DataError(f"the checkpoint's state.json cannot be used: {fault}; remove that checkpoint, and the "
                            "one before it is taken") from None  # fmt: skip
        return progress

    def reset_epoch_sums(self) -> None:
        """Reset the sums at the start of an epoch."""
        self.batch = 0
        self.num_samples = 0
        self.loss_sum = self.weight = self.num_correct = 0.0
