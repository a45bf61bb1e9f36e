"""State of the training loop, everything that a checkpoint must hold besides tensors."""

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
    """Position and statistics of a run.

    step: optimizer steps done. epoch, batch: the next batch to train on. seconds: training time so far. head_seconds:
    the part of it that fitting the head took.

    micro_batch_size: in use, perhaps smaller than the recipe's after memory has run out. loss_scale: of fp16.

    The sums are over the current epoch. history: one row per finished epoch.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    head_seconds: float = 0.0
    loss_sum: float = 0.0
    weight: float = 0.0
    num_correct: float = 0.0
    num_samples: int = 0
    best_value: float | None = None
    best_epoch: int = -1
    best_step: int = -1
    stop_reason: str | None = None
    num_ema_updates: int = 0
    micro_batch_size: int | None = None
    loss_scale: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

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
