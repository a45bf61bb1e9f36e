"""A batch: the one shape in which pictures travel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Batch:
    """images_BVCHW: uint8 RGB, a missing view is all fill. present_BV: which views a sample has.

    color_BV3: brightness, contrast and saturation factors, or None outside training. valid_B: False for a sample that
    is there only to fill a rank's share, and never counts. labels_B: -1 when unknown.
    """

    images_BVCHW: torch.Tensor
    present_BV: torch.Tensor
    labels_B: torch.Tensor
    valid_B: torch.Tensor
    ids: tuple[str, ...]
    color_BV3: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        color = None if self.color_BV3 is None else self.color_BV3.to(device, non_blocking=True)
        return replace(
            self,
            images_BVCHW=self.images_BVCHW.to(device, non_blocking=True),
            present_BV=self.present_BV.to(device, non_blocking=True),
            labels_B=self.labels_B.to(device, non_blocking=True),
            valid_B=self.valid_B.to(device, non_blocking=True),
            color_BV3=color,
        )

    def pin_memory(self) -> Batch:
        """Called by the DataLoader for copies to a GPU that do not block."""
        color = None if self.color_BV3 is None else self.color_BV3.pin_memory()
        return replace(self, images_BVCHW=self.images_BVCHW.pin_memory(), color_BV3=color)

    def split(self, size: int) -> list[Batch]:
        """Micro-batches of at most `size` samples, in order."""
        if size >= len(self):
            return [self]
        return [self._slice(slice(start, start + size)) for start in range(0, len(self), size)]

    def only_view(self, view: int) -> Batch:
        """The batch as if the samples had no other view."""
        mask_V = torch.arange(self.present_BV.shape[1], device=self.present_BV.device) == view
        return replace(self, present_BV=self.present_BV & mask_V)

    def _slice(self, part: slice) -> Batch:
        return Batch(
            self.images_BVCHW[part],
            self.present_BV[part],
            self.labels_B[part],
            self.valid_B[part],
            self.ids[part],
            None if self.color_BV3 is None else self.color_BV3[part],
        )
