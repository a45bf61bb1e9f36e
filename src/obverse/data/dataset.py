"""Dataset of one split. A batch is a pure function of its places (epoch, index), whatever worker makes it.

A whole batch is made at once, because for small pictures collating single items costs more than their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from obverse.data.augmentation.changes import apply_change, draw_change, num_draws
from obverse.data.caches.memory import PixelCache
from obverse.imaging import Pixels
from obverse.manifest import Manifest, Sample
from obverse.recipe import ResolvedAugment
from obverse.runtime import named_uniforms

from .batch import Batch
from .board import IDLE, Board
from .columns import column_codes, drop_columns
from .geometry import Geometry
from .originals import Originals

# What the sampler asks for: epoch, index into the split, valid.
Place = tuple[int, int, bool]
Color = tuple[float, float, float]


class PictureDataset(Dataset[Batch]):
    """Dataset that decodes, fits and augments. augment None: evaluation, where pictures are only fitted."""

    def __init__(
        self,
        manifest: Manifest,
        samples: Sequence[Sample],
        geometry: Geometry,
        *,
        augment: ResolvedAugment | None = None,
        seed: int = 0,
        cache: PixelCache | None = None,
    ) -> None:
        self.board: Board | None = None
        self.manifest, self.samples, self.geometry = manifest, samples, geometry
        self.augment, self.seed, self.cache = augment, seed, cache
        self.originals = Originals(manifest, samples)
        self.working = working_geometry(geometry, augment)
        self._changes_color = augment is not None and bool(augment.jitter or augment.gray)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, places: Sequence[Place]) -> Batch:
        """Decoded, fitted and changed pictures of `places`, in their order."""
        num, views, geometry = len(places), len(self.manifest.views), self.geometry
        samples = [self.samples[index] for _, index, _ in places]
        images_BVCHW = np.empty((num, views, 3, geometry.canvas_height, geometry.canvas_width), np.uint8)
        present_BV = np.zeros((num, views), bool)
        color_BV3 = np.ones((num, views, 3), np.float32)
        for row, (sample, (epoch, index, _)) in enumerate(zip(samples, places, strict=True)):
            self._note(index)
            for number, kept in enumerate(self._kept_views(sample, epoch)):
                if kept:
                    view, slot = self.manifest.views[number], index * views + number
                    color_BV3[row, number] = self._write(images_BVCHW[row, number], sample, view, slot, epoch)
                else:
                    images_BVCHW[row, number] = geometry.fill
                present_BV[row, number] = kept
        self._note(IDLE)
        labels_B, label_sets_BK = self._labels(samples)
        return Batch(
            images_BVCHW=torch.from_numpy(images_BVCHW),
            present_BV=torch.from_numpy(present_BV),
            labels_B=labels_B,
            valid_B=torch.tensor([valid for _, _, valid in places]),
            ids=tuple(sample.id for sample in samples),
            color_BV3=torch.from_numpy(color_BV3) if self._changes_color else None,
            columns_BE=self._columns(samples, places),
            label_sets_BK=label_sets_BK,
        )

    @property
    def truth(self) -> np.ndarray[Any, Any]:
        """The truth of all samples: class indices, int64 (N), -1 where unknown; for label sets bool (N, K)."""
        labels_N, label_sets_NK = self._labels(self.samples)
        return (labels_N if label_sets_NK is None else label_sets_NK).numpy()

    def _columns(self, samples: Sequence[Sample], places: Sequence[Place]) -> torch.Tensor | None:
        columns = self.manifest.columns
        codes_BE = column_codes(columns, [(sample.id, sample.extra) for sample in samples])
        if codes_BE is None or self.augment is None or not self.augment.column_dropout:
            return codes_BE
        names = [(epoch, sample.id) for (epoch, _, _), sample in zip(places, samples, strict=True)]
        return drop_columns(columns, codes_BE, self.augment, names, self.seed)

    def _labels(self, samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor | None]:
        class_index = self.manifest.class_index
        if not self.manifest.multi_label:
            return torch.tensor([class_index.get(sample.label, -1) for sample in samples]), None
        label_sets_BK = torch.zeros(len(samples), len(class_index), dtype=torch.bool)
        for row, sample in enumerate(samples):
            label_sets_BK[row, [class_index[name] for name in self.manifest.classes_of(sample)]] = True
        return torch.full((len(samples),), -1), label_sets_BK

    def _note(self, index: int) -> None:
        if self.board is not None:
            self.board.note(index)

    def _write(self, out_CHW: Pixels, sample: Sample, view: str, slot: int, epoch: int) -> Color:
        """Write one augmented picture into `out_CHW`. Returns its colour factors, which are applied on the device."""
        pixels = self._working_picture(view, slot)
        if self.augment is None:
            out_CHW[...] = pixels.transpose(2, 0, 1)
            return 1.0, 1.0, 1.0
        draws = named_uniforms(num_draws(self.augment), "augment", self.seed, epoch, sample.id, view)
        change = draw_change(self.augment, pixels.shape[:2], out_CHW.shape[1:], draws)
        apply_change(pixels, change, out_CHW, self.geometry.fill)
        return change.color

    def _working_picture(self, view: str, slot: int) -> Pixels:
        def make() -> Pixels:
            min_height, min_width = self.working.least_decode
            index = slot // len(self.manifest.views)
            pixels = self.originals.decode(index, view, min_height=min_height, min_width=min_width)
            return self.working.fitted(pixels)

        return make() if self.cache is None else self.cache.get(slot, make)

    def _kept_views(self, sample: Sample, epoch: int) -> list[bool]:
        """Which views a sample has after view dropout, which always leaves one."""
        present = [view in sample.views for view in self.manifest.views]
        if self.augment is None or not self.augment.view_dropout or sum(present) < 2:
            return present
        *draws, spare = named_uniforms(len(present) + 1, "view-dropout", self.seed, epoch, sample.id)
        kept = [here and draws[i] >= self.augment.view_dropout for i, here in enumerate(present)]
        if not any(kept):
            here = [i for i, is_here in enumerate(present) if is_here]
            kept[here[int(spare * len(here))]] = True
        return kept


def working_geometry(geometry: Geometry, augment: ResolvedAugment | None) -> Geometry:
    """The geometry of cached pictures: the input size, with a margin where augmentation cuts crops.

    The whole picture is kept, because training crops may lie outside of what evaluation keeps.
    """
    return geometry if augment is None else replace(geometry, crop_fraction=1.0).enlarged(augment.margin)
