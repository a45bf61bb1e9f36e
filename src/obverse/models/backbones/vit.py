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
    """What decides the tensors of a plain ViT, and the constant of its norms."""

    patch: int
    width: int
    depth: int
    heads: int
    mlp_ratio: float
    eps: float = 1e-6
    qkv_bias: bool = True


def shape_of(spec: ViTBackbone) -> ViTShape:
    """Of a recipe."""
    return ViTShape(spec.patch, spec.width, spec.depth, spec.heads, spec.mlp_ratio)


def build_vit(
    shape: ViTShape, *, height: int, width: int, drop_path_rate: float = 0.0, embed_drop_rate: float = 0.0
) -> nn.Module:
    """Pictures (B, 3, height, width) to the normalised class token (B, shape.width)."""
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
    """With random weights, as there are no others."""
    rates = {"drop_path_rate": spec.drop_path_rate, "embed_drop_rate": spec.embed_drop_rate}
    return build_vit(shape_of(spec), height=height, width=width, **rates)


def input_needs(spec: ViTBackbone) -> InputNeeds:
    """Whole patches."""
    return InputNeeds(spec.patch)


NETWORK = Network(build, input_needs)
