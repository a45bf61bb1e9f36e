"""Conversion of a plain ViT's tensors from the names of torchvision and Transformers to those of timm.

Only names change, and queries, keys and values are joined in one tensor. Position embeddings are resampled on loading.
"""

from __future__ import annotations

import re
from typing import Literal

import torch

from .weight_files import State

HF_NAMES = (
    (r"^(?:vit|deit)\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.layernorm_before\.", r"blocks.\1.norm1."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.layernorm_after\.", r"blocks.\1.norm2."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.attention\.attention\.(query|key|value)\.", r"blocks.\1.attn.\2."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.attention\.([qkv])_proj\.", r"blocks.\1.attn.\2."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.attention\.(?:output\.dense|o_proj)\.", r"blocks.\1.attn.proj."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.(?:intermediate\.dense|mlp\.fc1)\.", r"blocks.\1.mlp.fc1."),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.(?:output\.dense|mlp\.fc2)\.", r"blocks.\1.mlp.fc2."),
)
TORCHVISION_NAMES = (
    (r"^class_token$", "cls_token"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.ln\.", "norm."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.", r"blocks.\1.norm\2."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_", r"blocks.\1.attn.qkv."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.", r"blocks.\1.mlp.fc1."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.", r"blocks.\1.mlp.fc2."),
)
FULL_NAMES = {"query": "q", "key": "k", "value": "v"}


def written_by(state: State) -> Literal["torchvision", "transformers"] | None:
    """The library whose names the tensors of a plain ViT have; None for timm, and for any other network."""
    if any(name.endswith("encoder.pos_embedding") for name in state):
        return "torchvision"
    if any(name.endswith("embeddings.position_embeddings") for name in state):
        return "transformers"
    return None


def timm_names(state: State) -> State:
    """The tensors of a plain ViT under timm's names; tensors of any other network unchanged."""
    match written_by(state):
        case "torchvision":
            return _renamed(state, TORCHVISION_NAMES)
        case "transformers":
            return _joined(_renamed(state, HF_NAMES))
    return state


def _renamed(state: State, names: tuple[tuple[str, str], ...]) -> State:
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _joined(state: State) -> State:
    """Queries, keys and values (in this order) as one tensor."""
    joined: State = {}
    parts: dict[str, State] = {}
    for name, tensor in state.items():
        match = re.match(r"^(blocks\.\d+\.attn\.)(query|key|value|[qkv])\.(weight|bias)$", name)
        if match is None:
            joined[name] = tensor
            continue
        place, which, kind = match.groups()
        parts.setdefault(f"{place}qkv.{kind}", {})[FULL_NAMES.get(which, which)] = tensor
    for name, part in parts.items():
        if set(part) == set("qkv"):
            joined[name] = torch.cat([part[which] for which in "qkv"])
    return joined
