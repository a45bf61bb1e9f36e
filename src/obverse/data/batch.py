"""A batch: the one shape in which pictures travel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from obverse.decisions import label_targets


@dataclass(frozen=True)
class Batch:
    """images_BVCHW: uint8 RGB, a missing view is all fill. present_BV: which views a sample has.

    color_BV3: brightness, contrast and saturation factors, or None outside training. valid_B: False for a sample that
    is there only to fill a rank's share, and never counts. labels_B: -1 when unknown. targets_BK, shares_BV5: what the
    loss sees and how pixels are mixed when neighbours are mixed (`mixing.py`), else None. columns_BE: extra columns as
    codes (`manifest/columns.py`), or None where the model sees none. label_sets_BK: of multi-label data which classes a
    sample has, labels_B then being -1, else None.
    """

    images_BVCHW: torch.Tensor
    present_BV: torch.Tensor
    labels_B: torch.Tensor
    valid_B: torch.Tensor
    ids: tuple[str, ...]
    color_BV3: torch.Tensor | None = None
    targets_BK: torch.Tensor | None = None
    shares_BV5: torch.Tensor | None = None
    columns_BE: torch.Tensor | None = None
    label_sets_BK: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Called by the DataLoader for copies to a GPU that do not block."""
        return self._with_tensors(torch.Tensor.pin_memory)

    def split(self, size: int) -> list[Batch]:
        """Micro-batches of at most `size` samples, in order; pairs that are mixed stay together."""
        size += size % 2 if self.shares_BV5 is not None else 0
        if size >= len(self):
            return [self]
        return [self._slice(slice(start, start + size)) for start in range(0, len(self), size)]

    def loss_targets(self, num_classes: int) -> torch.Tensor:
        """What the loss sees (B, K): its own targets where it has them, soft ones, else its labels."""
        if self.targets_BK is not None:
            return self.targets_BK
        return label_targets(self.labels_B, self.label_sets_BK, num_classes)

    def only_view(self, view: int) -> Batch:
        """The batch as if the samples had no other view."""
        mask_V = torch.arange(self.present_BV.shape[1], device=self.present_BV.device) == view
        return replace(self, present_BV=self.present_BV & mask_V)

    def _slice(self, part: slice) -> Batch:
        return replace(self._with_tensors(lambda tensor: tensor[part]), ids=self.ids[part])

    def _with_tensors(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {name: change(value) for name, value in values.items() if isinstance(value, torch.Tensor)}
        return Batch(**values)
