"""Where a run stands: everything about the loop that a checkpoint must hold besides tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Progress:
    """step: optimizer steps done. epoch, batch: the next batch to train on. seconds: training time so far, of which
    head_seconds went into fitting the head first.

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
        """Plain values; JSON keeps every float exactly."""
        return asdict(self)

    def reset_epoch_sums(self) -> None:
        """A new epoch begins."""
        self.batch = 0
        self.num_samples = 0
        self.loss_sum = self.weight = self.num_correct = 0.0
