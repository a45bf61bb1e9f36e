"""Configuration of a Transformers ViT or DINOv2 from the names and shapes of its tensors, where config.json is missing.

Shapes do not say the number of heads: every published model of these kinds has heads of HEAD_WIDTH.
"""

from __future__ import annotations

import math
import re
from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from obverse.models.weights.weight_files import State

HEAD_WIDTH = 64
# All published DINOv2 weights; a plain ViT may have others.
STATISTICS = {"mean": tuple(IMAGENET_DEFAULT_MEAN), "std": tuple(IMAGENET_DEFAULT_STD)}


def config_of(file: State) -> dict[str, Any] | None:
    """The configuration; None for tensors of any other network."""
    shapes = {
        re.sub(r"^(?:vit|deit|dinov2|dinov2_with_registers)\.", "", name): tuple(value.shape)
        for name, value in file.items()
    }
    kernel, positions = (
        shapes.get(f"embeddings.{name}") for name in ("patch_embeddings.projection.weight", "position_embeddings")
    )
    if kernel is None or positions is None or len(kernel) != 4 or kernel[0] % HEAD_WIDTH:
        return None
    width, _, _, patch = kernel
    layers = [int(match[1]) for name in shapes if (match := re.match(r"(?:encoder\.layer|layers?)\.(\d+)\.", name))]
    side = math.isqrt(positions[1] - 1)
    if not layers or side * side != positions[1] - 1 or "embeddings.distillation_token" in shapes:
        return None
    common = {
        "hidden_size": width,
        "num_hidden_layers": max(layers) + 1,
        "num_attention_heads": width // HEAD_WIDTH,
        "image_size": side * patch,
        "patch_size": patch,
    }
    return common | _kind(shapes, width)


def _kind(shapes: dict[str, tuple[int, ...]], width: int) -> dict[str, Any]:
    """What differs between ViT, DINOv2, and DINOv2 with registers."""

    def rows(ending: str) -> int:
        return next((shape[0] for name, shape in shapes.items() if name.endswith(ending)), 0)

    if not rows("layer_scale1.lambda1"):
        return {"model_type": "vit", "intermediate_size": rows("intermediate.dense.weight") or rows("mlp.fc1.weight")}
    registers = shapes.get("embeddings.register_tokens")
    kind: dict[str, Any] = {"model_type": "dinov2"}
    if registers is not None:
        kind = {"model_type": "dinov2_with_registers", "num_register_tokens": registers[1]}
    if rows("mlp.weights_in.weight"):
        return kind | {"use_swiglu_ffn": True}
    return kind | {"mlp_ratio": rows("mlp.fc1.weight") // width}
