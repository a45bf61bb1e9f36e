"""Engine protocol: a model that is ready for inference, whatever library runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from obverse.bundle import Bundle
from obverse.data import Batch
from obverse.errors import DataError

from .outputs import Outputs


@dataclass(frozen=True)
class Needs:
    """Shape and type of the pictures that an engine takes: (any number, num_views, 3, height, width) of `dtype`."""

    num_views: int
    height: int
    width: int
    dtype: torch.dtype = torch.uint8

    @classmethod
    def of(cls, bundle: Bundle) -> Needs:
        """The requirements that follow from a bundle's geometry and views."""
        geometry = bundle.geometry
        return cls(len(bundle.views), geometry.canvas_height, geometry.canvas_width)

    def require(self, batch: Batch) -> None:
        """DataError for pictures of another shape or type, which a network might accept with wrong outputs."""
        images_BVCHW = batch.images_BVCHW
        shape = (self.num_views, 3, self.height, self.width)
        if tuple(images_BVCHW.shape[1:]) != shape or images_BVCHW.dtype != self.dtype:
            raise DataError(f"the model takes pictures of the shape {shape} (views, channels, height, width) and type "
                            f"{self.dtype}, not {tuple(images_BVCHW.shape[1:])} and {images_BVCHW.dtype}")  # fmt: skip


class Engine(Protocol):
    """A model that is ready for inference. Threads may share one, because no call changes its state."""

    @property
    def needs(self) -> Needs:
        """Shape and type of the pictures that the engine takes."""

    def outputs(self, batch: Batch, *, each_view: bool = False, embeddings: bool = True) -> Outputs:
        """Outputs for every row of a batch, padding included; the batch may be on any device.

        each_view: also of every view alone, when there are several. embeddings False: they are left out.
        """

    def close(self) -> None:
        """Release resources besides Python objects; the engine cannot be used afterwards."""
