"""What is trained: how views share a backbone (backbone.py), fusion, head."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .backbone import AutoBackbone, Backbone
from .spec import Fraction, PositiveInt, Spec


class ConcatFusion(Spec):
    """The views' features side by side; a missing view is a learned vector."""

    kind: Literal["concat"] = "concat"


class MeanFusion(Spec):
    """The mean over the views that are present."""

    kind: Literal["mean"] = "mean"


Fusion = Annotated[ConcatFusion | MeanFusion, Field(discriminator="kind")]


class HeadSpec(Spec):
    """Hidden layers with ReLU and dropout, then one linear layer to the classes; no hidden layers = linear head."""

    hidden: tuple[PositiveInt, ...] = ()
    dropout: Fraction = 0.0


class ModelSpec(Spec):
    """Backbone(s) -> features -> fusion -> head. A single view is simply V = 1."""

    backbone: Backbone = AutoBackbone()
    sharing: Literal["shared", "separate"] = "shared"
    fusion: Fusion = ConcatFusion()
    head: HeadSpec = HeadSpec()

    @model_validator(mode="after")
    def _mean_needs_comparable_features(self) -> Self:
        if self.fusion.kind == "mean" and self.sharing == "separate":
            raise ValueError("mean fusion needs `sharing: shared`: features of separate backbones are not comparable")
        return self
