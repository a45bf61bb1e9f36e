"""Fusion of the features of several views, of which some may be missing, to one vector (B, D').

A fusion is a module with `num_features` and forward(features_BVD, present_BV). At least one view of a sample is
present. With one view there is nothing to fuse.
"""

from __future__ import annotations

from torch import nn

from obverse.recipe import AttentionFusion as AttentionSpec
from obverse.recipe import AutoFusion as AutoSpec
from obverse.recipe import AverageFusion as AverageSpec
from obverse.recipe import ConcatFusion as ConcatSpec
from obverse.recipe import CrossViewFusion as CrossViewSpec
from obverse.recipe import Fusion
from obverse.recipe import GatedFusion as GatedSpec
from obverse.recipe import MaxFusion as MaxSpec
from obverse.recipe import MeanFusion as MeanSpec
from obverse.recipe import MultiplicativeFusion as MultiplicativeSpec

from .attention import AttentionFusion, CrossViewFusion
from .average import AverageFusion
from .concat import ConcatFusion
from .gated import GatedFusion
from .multiplicative import MultiplicativeFusion
from .pooling import MaxFusion, MeanFusion

__all__ = [
    "AttentionFusion",
    "AverageFusion",
    "ConcatFusion",
    "CrossViewFusion",
    "GatedFusion",
    "MaxFusion",
    "MeanFusion",
    "MultiplicativeFusion",
    "build_fusion",
]


def build_fusion(spec: Fusion, *, num_views: int, num_features: int) -> nn.Module:
    """The fusion of `num_views` views with `num_features` features each; the identity for one view."""
    if num_views == 1 and not isinstance(spec, AverageSpec):
        return ConcatFusion(1, num_features)
    if isinstance(spec, AutoSpec):
        spec = spec.chosen(num_views)
    match spec:
        case AttentionSpec():
            return AttentionFusion(spec, num_views, num_features)
        case CrossViewSpec():
            return CrossViewFusion(spec, num_views, num_features)
        case GatedSpec():
            return GatedFusion(spec, num_views, num_features)
        case MultiplicativeSpec():
            return MultiplicativeFusion(spec, num_views, num_features)
        case AverageSpec():
            return AverageFusion(num_views, num_features)
        case ConcatSpec():
            return ConcatFusion(num_views, num_features)
        case MaxSpec():
            return MaxFusion(num_features)
        case MeanSpec():
            return MeanFusion(num_features)
