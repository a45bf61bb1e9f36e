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
    """`concat` puts the views' features side by side."""


class MeanFusion(Spec):
    """The mean over the views that are present."""

    kind: Literal["mean"] = "mean"
    """`mean` averages the features of the views; nothing is learned. It needs `sharing: shared`."""


class MaxFusion(Spec):
    """The largest of each feature over the views that are present (Su et al. 2015, MVCNN)."""

    kind: Literal["max"] = "max"
    """`max` takes the largest value of each feature; nothing is learned. It needs `sharing: shared`."""


class GatedFusion(Spec):
    """A mean of each feature over views, with weights that are computed from all views (after Arevalo et al. 2017)."""

    kind: Literal["gated"] = "gated"
    """`gated` weighs the views feature by feature."""

    width: Width = 256
    """Features of each view after the first layer."""

    view_embedding: bool = False
    """Whether the fusion knows which view is which, so that their order counts."""


class AverageFusion(Spec):
    """The mean of the views' probabilities: every view has a head of its own and learns by itself (late fusion)."""

    kind: Literal["average"] = "average"
    """`average` classifies every view by itself and averages the probabilities of the views that are present. Training
    minimises the mean of the views' own losses, so that with `sharing: separate` it is one model per view in one."""


class AutoFusion(Spec):
    """A fusion chosen by the number of views; the choice is written into the run's recipe."""

    kind: Literal["auto"] = "auto"
    """`auto` is `concat` for one view, where there is nothing to fuse, and `gated` with `view_embedding` for several,
    because a class may depend on the views together."""

    def chosen(self, num_views: int) -> ConcatFusion | GatedFusion:
        """For one view there is nothing to fuse. Of several, side by side under a linear head, each would add its own
        part to the answer, and no such sum says whether they differ; gates that know which view is which can.
        """
        return ConcatFusion() if num_views == 1 else GatedFusion(view_embedding=True)


class MultiplicativeFusion(Spec):
    """The product over views of 1 + tanh of a linear layer; a missing view counts 1 (after Kim et al. 2017)."""

    kind: Literal["multiplicative"] = "multiplicative"
    """`multiplicative` takes a product over views, so that one view can rule a class out."""

    width: Width = 256
    """Features of each view after the first layer."""

    view_embedding: bool = False
    """Whether the fusion knows which view is which, so that their order counts."""


class _Heads(Spec):
    """Fields that the fusions with attention share."""

    width: Width = 256
    """Features of each view after the first layer; a multiple of `num_heads`."""

    num_heads: Width = 4
    """Attention heads."""

    view_embedding: bool = False
    """Whether the fusion knows which view is which, so that their order counts."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} must be a multiple of num_heads {self.num_heads}")
        return self


class AttentionFusion(_Heads):
    """A learned query looks at the views (pooling by attention, Lee et al. 2019, Set Transformer)."""

    kind: Literal["attention"] = "attention"
    """`attention` pools the views by a learned query."""


class CrossViewFusion(_Heads):
    """Transformer layers in which the views look at each other, read out by a class token."""

    kind: Literal["cross-view"] = "cross-view"
    """`cross-view` lets views look at each other."""

    depth: Annotated[int, Field(gt=0, le=MAX_LAYERS)] = 2
    """Number of transformer layers."""


Fusion = Annotated[
    AutoFusion
    | ConcatFusion
    | MeanFusion
    | MaxFusion
    | AverageFusion
    | AttentionFusion
    | GatedFusion
    | MultiplicativeFusion
    | CrossViewFusion,
    Field(discriminator="kind"),
]
