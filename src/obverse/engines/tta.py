"""Test-time augmentation: an engine that averages another engine's outputs over changed pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from obverse.bundle import Bundle
from obverse.data import Batch
from obverse.errors import RecipeError

from .engine import Engine, Needs
from .outputs import Float32Array, Outputs

MIRRORED = "mirror"
"""Key of `Bundle.trained` for the share of training pictures that were mirrored; absent for none."""


@dataclass(frozen=True, eq=False)
class MirrorEngine:
    """Engine that averages class logits and embeddings over every picture and its mirror image.

    Only for models that were trained with mirrored pictures. Logits are averaged, not probabilities, as in airbench
    (Jordan 2024, arXiv:2404.00498).
    """

    engine: Engine

    @classmethod
    def of(cls, engine: Engine, bundle: Bundle) -> MirrorEngine:
        """The engine of a bundle's model, mirrored. RecipeError for a model to which that does not apply."""
        models = [bundle.model, *(member.model for member in bundle.members)]
        if any(getattr(model.backbone, "mirrored", False) is True for model in models):
            raise RecipeError("this model answers for both mirror images by itself; leave --tta out")
        if not bundle.trained.get(MIRRORED):
            raise RecipeError("test-time augmentation looks at mirrored pictures, and this model was not trained with "
                              "them (augment.mirror is 0), or by a version that did not record it; leave --tta out"
                              )  # fmt: skip
        return cls(engine)

    @property
    def needs(self) -> Needs:
        """The requirements of the inner engine."""
        return self.engine.needs

    def outputs(self, batch: Batch, *, each_view: bool = False, embeddings: bool = True) -> Outputs:
        """Mean outputs of the inner engine for the batch and its mirror image."""
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
        """Close the inner engine."""
        self.engine.close()


def _mean(one: Float32Array, other: Float32Array) -> Float32Array:
    return (one + other) / np.float32(2)
