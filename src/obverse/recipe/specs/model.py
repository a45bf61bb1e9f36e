"""What is trained: how views share a backbone (`backbone.py`), fusion (`fusion.py`), heads."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.recipe.options import MAX_NUMBER

from .backbone import AutoBackbone, Backbone
from .fusion import AutoFusion, Fusion
from .spec import Fraction, PositiveFloat, Spec


class HeadSpec(Spec):
    """Hidden layers with ReLU and dropout, then one linear layer to the classes; no hidden layers = linear head."""

    hidden: Annotated[tuple[Annotated[int, Field(gt=0, le=MAX_NUMBER)], ...], Field(max_length=16)] = ()
    dropout: Fraction = 0.0


class ViewHeadsSpec(Spec):
    """Every view is graded by itself, too: a linear head, shared among views as the backbone is, learns the sample's
    label from that view's picture alone.

    weight: of the mean loss of the views, beside the loss of all views together.
    """

    weight: PositiveFloat = 0.3


class ModelSpec(Spec):
    """Backbone(s) -> features -> fusion -> head. A single view is simply V = 1."""

    backbone: Backbone = AutoBackbone()
    sharing: Literal["shared", "separate"] = "shared"
    fusion: Fusion = AutoFusion()
    head: HeadSpec = HeadSpec()
    view_heads: ViewHeadsSpec | None = None

    @model_validator(mode="after")
    def _pooling_needs_comparable_features(self) -> Self:
        kind = self.fusion.kind
        if kind in ("mean", "max") and self.sharing == "separate":
            raise ValueError(f"{kind} fusion needs `sharing: shared`: features of separate backbones are not "
                             "comparable")  # fmt: skip
        return self
