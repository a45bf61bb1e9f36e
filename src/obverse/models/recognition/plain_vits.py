"""A plain ViT of any size under timm's names: the options that make it out of one of timm's models."""

from __future__ import annotations

from typing import Any

from obverse.models.weights.weight_files import State

from .skeletons import compare, timm_shapes

BASE = "vit_tiny_patch16_224"
# Shapes do not say the number of heads; those of all usual sizes have this width.
HEAD_WIDTH = 64


def plain_vit(state: State) -> dict[str, Any] | None:
    """Name and options of a plain ViT with exactly these tensors; None for any other network."""
    kernel, hidden = state.get("patch_embed.proj.weight"), state.get("blocks.0.mlp.fc1.weight")
    if kernel is None or hidden is None or kernel.ndim != 4 or kernel.shape[0] % HEAD_WIDTH:
        return None
    width = int(kernel.shape[0])
    options = {
        "patch_size": int(kernel.shape[-1]),
        "embed_dim": width,
        "depth": len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
        "num_heads": width // HEAD_WIDTH,
        "mlp_ratio": hidden.shape[0] / width,
    }
    shapes = timm_shapes(BASE, tuple(options.items()))
    if shapes is None or not compare(state, shapes).is_exact:
        return None
    return {"name": BASE, "options": options}
