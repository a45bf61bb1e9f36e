"""The plain vision transformer (Dosovitskiy et al. 2020) of any size, as timm builds it.

Attention is torch's fused one. Pre-norm, class token, learned position embeddings for the grid of a picture of
(height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from timm.models.vision_transformer import VisionTransformer
from torch import nn

from obverse.models.weights.positions import Grid, regridded
from obverse.models.weights.weight_files import State, fill, misfit
from obverse.recipe import ViTBackbone

from .network import InputNeeds, Network


@dataclass(frozen=True)
class ViTShape:
    """Architecture of a plain ViT."""

    patch: int
    """Side of a patch in pixels."""

    width: int
    """Length of a token."""

    depth: int
    """Number of blocks."""

    heads: int
    """Number of attention heads."""

    mlp_ratio: float
    """Hidden width of the MLP, in token lengths."""

    eps: float = 1e-6
    """Constant that layer norms add to the variance."""

    qkv_bias: bool = True
    """Whether queries, keys and values have a bias."""


def shape_of(spec: ViTBackbone) -> ViTShape:
    """Shape of the ViT in a recipe."""
    return ViTShape(spec.patch, spec.width, spec.depth, spec.heads, spec.mlp_ratio)


def build_vit(
    shape: ViTShape, *, height: int, width: int, drop_path_rate: float = 0.0, embed_drop_rate: float = 0.0
) -> nn.Module:
    """The network from pictures (B, 3, height, width) to the normalised class token (B, shape.width)."""
    model: nn.Module = VisionTransformer(
        img_size=(height, width),
        patch_size=shape.patch,
        num_classes=0,
        embed_dim=shape.width,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=shape.mlp_ratio,
        qkv_bias=shape.qkv_bias,
        drop_path_rate=drop_path_rate,
        pos_drop_rate=embed_drop_rate,
        norm_layer=partial(nn.LayerNorm, eps=shape.eps),
    )
    return model


def fill_vit(model: nn.Module, state: State, *, source: str, name: str, grid: Grid | None = None) -> None:
    """Load weights under timm's names; position embeddings are resampled from their grid, a square where none is given.

    DataError when the file does not fit.
    """
    assert isinstance(model, VisionTransformer)
    positions = state.get("pos_embed")
    if positions is not None and positions.ndim == 3:
        try:
            state = {**state, "pos_embed": regridded(positions, model.patch_embed.grid_size, old=grid)}
        except ValueError as error:
            raise misfit(source, name, error) from None
    fill(model, state, source=source, name=name)


def build(spec: ViTBackbone, /, *, height: int, width: int, load_weights: bool) -> nn.Module:
    """The network with random weights; there are no pretrained ones."""
    rates = {"drop_path_rate": spec.drop_path_rate, "embed_drop_rate": spec.embed_drop_rate}
    return build_vit(shape_of(spec), height=height, width=width, **rates)


def input_needs(spec: ViTBackbone) -> InputNeeds:
    """Input needs: sides in multiples of the patch."""
    return InputNeeds(spec.patch)


NETWORK = Network(build, input_needs)
