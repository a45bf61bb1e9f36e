"""Samples of one split as tensors. Every item is a pure function of (epoch, index): no state, no order, no worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from obverse.manifest import Manifest, Sample
from obverse.recipe import AugmentSpec
from obverse.runtime import named_uniforms

from .augment import NUM_DRAWS, apply_change, draw_change
from .batch import Batch
from .cache import PixelCache
from .geometry import Geometry

# What the sampler hands to a worker: epoch, index into the split, valid.
Place = tuple[int, int, bool]


@dataclass(frozen=True)
class Item:
    """One sample before it is batched."""

    images_VCHW: torch.Tensor
    present_V: torch.Tensor
    label: int
    valid: bool
    id: str
    color_V3: torch.Tensor | None


class PictureDataset(Dataset[Item]):
    """Decode, fit, change. augment None: evaluation, where the picture is only fitted."""

    def __init__(
        self,
        manifest: Manifest,
        samples: Sequence[Sample],
        geometry: Geometry,
        *,
        augment: AugmentSpec | None = None,
        seed: int = 0,
        cache_bytes: float = 0,
    ) -> None:
        self.manifest, self.samples, self.geometry = manifest, samples, geometry
        self.augment, self.seed, self.store = augment, seed, manifest.store
        self.working = geometry if augment is None else geometry.enlarged(augment.margin or 1.0)
        shape = (3, self.working.canvas_height, self.working.canvas_width)
        self.cache = PixelCache.if_it_fits(len(samples) * len(manifest.views), shape, max_bytes=cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: Place) -> Item:
        epoch, index, valid = place
        sample = self.samples[index]
        present = self._kept_views(sample, epoch)
        pictures, colors = [], []
        for number, view in enumerate(self.manifest.views):
            picture, color = self._view(index, number, view, epoch, present[number])
            pictures.append(picture)
            colors.append(color)
        return Item(
            images_VCHW=torch.stack(pictures),
            present_V=torch.tensor(present),
            label=self.manifest.class_index.get(sample.label, -1),
            valid=valid,
            id=sample.id,
            color_V3=None if self.augment is None else torch.tensor(colors, dtype=torch.float32),
        )

    def _view(
        self, index: int, number: int, view: str, epoch: int, present: bool
    ) -> tuple[torch.Tensor, tuple[float, float, float]]:
        output = (self.geometry.canvas_height, self.geometry.canvas_width)
        if not present:
            return torch.full((3, *output), self.geometry.fill, dtype=torch.uint8), (1.0, 1.0, 1.0)
        working = self._working_picture(index, number, view)
        if self.augment is None:
            return working, (1.0, 1.0, 1.0)
        draws = named_uniforms(NUM_DRAWS, "augment", self.seed, epoch, self.samples[index].id, view)
        change = draw_change(self.augment, (working.shape[1], working.shape[2]), output, draws)
        return apply_change(working, change, output, self.geometry.fill), change.color

    def _working_picture(self, index: int, number: int, view: str) -> torch.Tensor:
        def make() -> torch.Tensor:
            min_height, min_width = self.working.least_decode
            pixels = self.store.decode(self.samples[index].views[view], min_height=min_height, min_width=min_width)
            return self.working.apply(pixels)

        if self.cache is None:
            return make()
        return self.cache.get(index * len(self.manifest.views) + number, make)

    def _kept_views(self, sample: Sample, epoch: int) -> list[bool]:
        """The views that are there, less what view dropout takes; one always stays."""
        present = [view in sample.views for view in self.manifest.views]
        if self.augment is None or not self.augment.view_dropout or sum(present) < 2:
            return present
        assert self.augment.view_dropout != "auto"
        *draws, spare = named_uniforms(len(present) + 1, "view-dropout", self.seed, epoch, sample.id)
        kept = [here and draws[i] >= self.augment.view_dropout for i, here in enumerate(present)]
        if not any(kept):
            here = [i for i, is_here in enumerate(present) if is_here]
            kept[here[int(spare * len(here))]] = True
        return kept


def collate(items: list[Item]) -> Batch:
    """Stack items to a Batch."""
    colors = [item.color_V3 for item in items if item.color_V3 is not None]
    return Batch(
        images_BVCHW=torch.stack([item.images_VCHW for item in items]),
        present_BV=torch.stack([item.present_V for item in items]),
        labels_B=torch.tensor([item.label for item in items]),
        valid_B=torch.tensor([item.valid for item in items]),
        ids=tuple(item.id for item in items),
        color_BV3=torch.stack(colors) if colors else None,
    )
