"""A batch of samples as tensors. Shape letters: B batch, V views, C channels, K classes, E columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from obverse.decisions import label_targets


@dataclass(frozen=True)
class Batch:
    """Images, labels and everything else that a training or evaluation step needs."""

    images_BVCHW: torch.Tensor
    """uint8 RGB; a missing view holds the fill value everywhere."""
    present_BV: torch.Tensor
    """Which views a sample has."""
    labels_B: torch.Tensor
    """Class indices; -1 when unknown, and in multi-label data."""
    valid_B: torch.Tensor
    """False for padding, which fills up a rank's shard and counts in no sum."""
    ids: tuple[str, ...]
    """Sample ids."""
    color_BV3: torch.Tensor | None = None
    """Brightness, contrast and saturation factors; None outside training."""
    targets_BK: torch.Tensor | None = None
    """Soft targets, of a teacher or of mixed samples; None where the labels are the targets."""
    shares_BV5: torch.Tensor | None = None
    """How pixels of neighbours are mixed (`augmentation/mixing.py`); None where they are not."""
    columns_BE: torch.Tensor | None = None
    """Extra columns as codes (`manifest/columns.py`); None where the model sees none."""
    label_sets_BK: torch.Tensor | None = None
    """Which classes a sample has, in multi-label data; else None."""

    @classmethod
    def unlabelled(
        cls,
        images_BVCHW: torch.Tensor,
        present_BV: torch.Tensor,
        *,
        ids: tuple[str, ...] = (),
        columns_BE: torch.Tensor | None = None,
    ) -> Batch:
        """Samples of unknown class, none of them padding; programs that are recorded leave `ids` out."""
        unknown_B = torch.full(images_BVCHW.shape[:1], -1)
        return cls(images_BVCHW, present_BV, unknown_B, unknown_B < 0, ids, columns_BE=columns_BE)

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in pinned memory, for asynchronous copies to a GPU. The DataLoader calls this method by name."""
        return self._with_tensors(torch.Tensor.pin_memory)

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """The samples of all parts, which have the same fields, in order."""
        first = parts[0]
        if len(parts) == 1:
            return first
        names = [field.name for field in fields(cls) if isinstance(getattr(first, field.name), torch.Tensor)]
        values = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
        return replace(first, ids=tuple(name for part in parts for name in part.ids), **values)

    def split(self, size: int) -> list[Batch]:
        """Micro-batches of at most `size` samples, in order; mixed pairs stay together."""
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
        """The batch with all other views marked as missing."""
        mask_V = torch.arange(self.present_BV.shape[1], device=self.present_BV.device) == view
        return replace(self, present_BV=self.present_BV & mask_V)

    def repeated(self, times: int) -> Batch:
        """A batch of one sample, `times` over; its tensors share memory."""
        assert len(self) == 1, "which of several samples would come first is nobody's guess"
        expanded = self._with_tensors(lambda tensor: tensor.expand(times, *tensor.shape[1:]))
        return replace(expanded, ids=self.ids * times)

    def _slice(self, part: slice) -> Batch:
        return replace(self._with_tensors(lambda tensor: tensor[part]), ids=self.ids[part])

    def _with_tensors(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {name: change(value) for name, value in values.items() if isinstance(value, torch.Tensor)}
        return Batch(**values)
