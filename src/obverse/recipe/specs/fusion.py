"""How the features of several views become one vector, and what else is graded and known beside the pictures.

Modules are in `models/fusion/`. Every fusion predicts when a view is missing.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obverse.recipe.options import MAX_LAYERS, MAX_NUMBER

from .spec import Spec

Width = Annotated[int, Field(gt=0, le=MAX_NUMBER)]


class ConcatFusion(Spec):
    """The views' features side by side; a missing view is a learned vector."""

    kind: Literal["concat"] = "concat"


class MeanFusion(Spec):
    """The mean over the views that are present."""

    kind: Literal["mean"] = "mean"


class MaxFusion(Spec):
    """The largest of each feature over the views that are present (Su et al. 2015, MVCNN)."""

    kind: Literal["max"] = "max"


class GatedFusion(Spec):
    """Each feature is a mean over views whose weights are computed from all of them (after Arevalo et al. 2017).

    width: features after the first layer. view_embedding: tell the fusion which view is which, so that their order
    counts.
    """

    kind: Literal["gated"] = "gated"
    width: Width = 256
    view_embedding: bool = False


class AutoFusion(Spec):
    """Decided by the number of views; the choice is written into the run's recipe."""

    kind: Literal["auto"] = "auto"

    def chosen(self, num_views: int) -> ConcatFusion | GatedFusion:
        """For one view there is nothing to fuse. Of several, side by side under a linear head, each would add its own
        part to the answer, and no such sum says whether they differ; gates that know which view is which can.
        """
        return ConcatFusion() if num_views == 1 else GatedFusion(view_embedding=True)


class MultiplicativeFusion(Spec):
    """The product over views of 1 + tanh of a linear layer; a missing view counts 1 (after Kim et al. 2017)."""

    kind: Literal["multiplicative"] = "multiplicative"
    width: Width = 256
    view_embedding: bool = False


class _Heads(Spec):
    width: Width = 256
    num_heads: Width = 4
    view_embedding: bool = False

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} must be a multiple of num_heads {self.num_heads}")
        return self


class AttentionFusion(_Heads):
    """A learned query looks at the views (pooling by attention, Lee et al. 2019, Set Transformer)."""

    kind: Literal["attention"] = "attention"


class CrossViewFusion(_Heads):
    """`depth` transformer layers in which the views look at each other, read out by a class token."""

    kind: Literal["cross-view"] = "cross-view"
    depth: Annotated[int, Field(gt=0, le=MAX_LAYERS)] = 2


Fusion = Annotated[
    AutoFusion
    | ConcatFusion
    | MeanFusion
    | MaxFusion
    | AttentionFusion
    | GatedFusion
    | MultiplicativeFusion
    | CrossViewFusion,
    Field(discriminator="kind"),
]
