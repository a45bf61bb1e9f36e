"""What is trained: how views share a backbone (`backbone.py`), fusion (`fusion.py`), heads."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.recipe.options import MAX_NUMBER

from .backbone import AutoBackbone, Backbone
from .fusion import AutoFusion, Fusion
from .spec import Fraction, PositiveFloat, Spec


class HeadSpec(Spec):
    """Layers from the fused features to the classes: hidden layers with ReLU and dropout, then one linear layer."""

    hidden: Annotated[tuple[Annotated[int, Field(gt=0, le=MAX_NUMBER)], ...], Field(max_length=16)] = ()
    """Widths of the hidden layers. Empty: a linear head. Example: `[512]`."""

    dropout: Fraction = 0.0
    """Dropout probability after each hidden layer, and before the classes in a linear head."""


class ViewHeadsSpec(Spec):
    """A head that classifies each view by itself: linear, and trained with the label of the sample on that view alone.

    The head is shared among views as the backbone is (`model.sharing`).
    """

    weight: PositiveFloat = 0.3
    """Weight of the views' mean loss beside the loss of all views together."""


class ModelSpec(Spec):
    """The network: backbone(s) -> features -> fusion of views -> head. A single picture is one view."""

    backbone: Backbone = AutoBackbone()
    """Network that turns a picture into features."""

    sharing: Literal["shared", "separate"] = "shared"
    """Whether all views go through one backbone (`shared`) or each view has its own (`separate`), with as many times
    the parameters."""

    fusion: Fusion = AutoFusion()
    """How the features of several views become one vector."""

    head: HeadSpec = HeadSpec()
    """Layers from the fused features to the classes; with `fusion: {kind: average}`, from each view's features."""

    view_heads: ViewHeadsSpec | None = None
    """A head that classifies each view by itself. `null`: only all views together are classified."""

    @model_validator(mode="after")
    def _pooling_needs_comparable_features(self) -> Self:
        kind = self.fusion.kind
        if kind in ("mean", "max") and self.sharing == "separate":
            raise ValueError(f"{kind} fusion needs `sharing: shared`: features of separate backbones are not "
                             "comparable")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _average_has_a_head_per_view(self) -> Self:
        if self.fusion.kind == "average" and self.view_heads is not None:
            raise ValueError("view_heads has no effect with average fusion, in which every view has a head already")
        return self
