"""Test-time augmentation: an engine that asks another one about changed pictures, too, and averages."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from obverse.data import Batch

from .engine import Engine, Needs
from .outputs import Float32Array, Outputs


@dataclass(frozen=True, eq=False)
class MirrorEngine:
    """The mean over every picture and its mirror image, left and right exchanged, of class logits and embeddings.

    For models that were trained on both: to others the mirror image of a letter or a coin is a picture of nothing. The
    mean is of logits and not of probabilities, as in airbench (Jordan 2024, arXiv:2404.00498).
    """

    engine: Engine

    @property
    def needs(self) -> Needs:
        """Those of the engine inside."""
        return self.engine.needs

    def outputs(self, batch: Batch, *, each_view: bool = False, embeddings: bool = True) -> Outputs:
        """The mean of what the engine inside says of the batch and of its mirror image."""
        mirror = replace(batch, images_BVCHW=batch.images_BVCHW.flip(-1))
        one, other = (
            self.engine.outputs(either, each_view=each_view, embeddings=embeddings) for either in (batch, mirror)
        )
        return replace(
            one,
            logits_NK=_mean(one.logits_NK, other.logits_NK),
            embeddings_ND=_mean(one.embeddings_ND, other.embeddings_ND),
            alone_VNK=tuple(map(_mean, one.alone_VNK, other.alone_VNK)),
            grades_VNK=tuple(map(_mean, one.grades_VNK, other.grades_VNK)),
        )

    def close(self) -> None:
        """Close the engine inside."""
        self.engine.close()


def _mean(one: Float32Array, other: Float32Array) -> Float32Array:
    return (one + other) / np.float32(2)
