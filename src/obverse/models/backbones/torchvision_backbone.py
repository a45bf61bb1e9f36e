"""Any classification model of torchvision as a backbone: weights from its hub, a local file, or none.

Its plain ViTs are built by timm from the same tensors: any size, fused attention, LoRA. Mean and std come from the
weights' own transforms. Names are torchvision's, and may say which weights: `resnet50.IMAGENET1K_V2`.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import torch
import torchvision.models as library
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer

from obverse.errors import RecipeError
from obverse.models.weights.hub import not_here, why_unreachable
from obverse.models.weights.vit_formats import timm_names
from obverse.models.weights.weight_files import Framing, State, fill, find_weights, read_weights
from obverse.recipe import TorchvisionBackbone, did_you_mean

from .adapted import AdaptedBackbone, require_size
from .network import HALF, InputNeeds, Network, weights_needs
from .vit import ViTShape, build_vit, fill_vit

NUM_CLASSES = 1000
# Multiples that height and width need in families with patches and windows; others take any size.
MULTIPLES = {"maxvit": 224, "swin": 32, "convnext": 32}
# Their published transforms say ImageNet's mean and std, which the models turn into these; here they do not.
RESCALED = ("googlenet", "inception_v3")
# github.com/facebookresearch/SWAG, to whose file the weights' own description leads.
SWAG_LICENCE = "cc-by-nc-4.0"
# Auxiliary classifiers are no part of a backbone, and drawing their weights takes minutes.
FIXED_OPTIONS: dict[str, dict[str, Any]] = {name: {"aux_logits": False, "init_weights": False} for name in RESCALED}


def pinned(spec: TorchvisionBackbone) -> TorchvisionBackbone:
    """The spec completed by the name of torchvision's current default weights."""
    name, _, tag = spec.name.partition(".")
    weights = _weights(spec)
    if spec.is_scratch or tag or weights is None:
        return spec
    return spec.changed({"name": f"{name}.{weights.name}"})


def weights_statistics(spec: TorchvisionBackbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of the name's weights, in 0..1 units."""
    weights = _weights(spec)
    if weights is None or _base(spec) in RESCALED:
        return HALF, HALF
    transforms = weights.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def weights_framing(spec: TorchvisionBackbone) -> Framing:
    """Training size and crop fraction of the weights, from their transforms."""
    weights = None if spec.is_scratch else _weights(spec)
    if weights is None:
        return None, 1.0
    transforms = weights.transforms()
    (side,), (resized,) = transforms.crop_size, transforms.resize_size
    return (side, side), min(1.0, side / resized)


def size_multiple(spec: TorchvisionBackbone) -> int:
    """What height and width must be a multiple of."""
    if (shape := _vit_shape(spec)) is not None:
        return shape.patch
    return next((multiple for family, multiple in MULTIPLES.items() if _base(spec).startswith(family)), 1)


def build_torchvision(spec: TorchvisionBackbone, *, height: int, width: int, load_weights: bool = True) -> nn.Module:
    """The backbone: the model without its classifier. load_weights: False if the caller loads its own weights.

    UnavailableError when weights are not available, DataError when a file does not fit the model.
    """
    state, source = _state(spec) if load_weights and not spec.is_scratch else ({}, "")
    if (shape := _vit_shape(spec)) is not None:
        vit = build_vit(shape, height=height, width=width)
        if state:
            fill_vit(vit, timm_names(state), source=source, name=spec.name)
        return vit
    options: dict[str, Any] = dict(spec.options)
    if _base(spec).startswith("maxvit"):
        options["input_size"] = (height, width)
    require_size(_skeleton(spec, options), spec.name, height, width)
    backbone = AdaptedBackbone(_net(spec, options), num_outputs=NUM_CLASSES)
    if state:
        fill(backbone.net, state, source=source, name=spec.name)
    return backbone


def skeleton(spec: TorchvisionBackbone) -> AdaptedBackbone:
    """The backbone on the meta device, without memory for its tensors, for inspection."""
    return _skeleton(spec, dict(spec.options))


def _skeleton(spec: TorchvisionBackbone, options: dict[str, Any]) -> AdaptedBackbone:
    with torch.device("meta"):
        return AdaptedBackbone(_net(spec, options), num_outputs=NUM_CLASSES)


def _base(spec: TorchvisionBackbone) -> str:
    return spec.name.partition(".")[0]


def _require_known(spec: TorchvisionBackbone) -> None:
    known = library.list_models(module=library)
    if _base(spec) not in known:
        raise RecipeError(f"model.backbone.name: torchvision has no classification model `{_base(spec)}`"
                          + did_you_mean(_base(spec), known))  # fmt: skip


def _weights(spec: TorchvisionBackbone) -> Any:
    """torchvision's weights entry: that of the name's tag, else the default one; None if there are no weights."""
    _require_known(spec)
    name, _, tag = spec.name.partition(".")
    entries = library.get_model_weights(name)
    if tag and tag not in entries.__members__:
        raise RecipeError(f"model.backbone.name: torchvision has no weights `{tag}` of `{name}`; it has "
                          f"{', '.join(entries.__members__) or 'none'}")  # fmt: skip
    return entries[tag] if tag else entries.__members__.get("DEFAULT")


def _net(spec: TorchvisionBackbone, options: dict[str, Any]) -> nn.Module:
    _require_known(spec)
    options = {**FIXED_OPTIONS.get(_base(spec), {}), **options}
    try:
        net: nn.Module = library.get_model(_base(spec), weights=None, **options)
    except NotImplementedError:  # regnets compute their widths with tensors, which the meta device cannot
        with torch.device("cpu"):
            net = library.get_model(_base(spec), weights=None, **options)
        return net.to(torch.get_default_device())
    except (TypeError, ValueError) as error:
        raise RecipeError(f"model.backbone: torchvision's {_base(spec)} does not take these options: {error}") from None
    return net


def _vit_shape(spec: TorchvisionBackbone) -> ViTShape | None:
    """Shape of a plain ViT; None for every other model."""
    if not _base(spec).startswith("vit_"):
        return None
    with torch.device("meta"):
        net = _net(spec, dict(spec.options))
    assert isinstance(net, VisionTransformer)
    block = net.encoder.layers[0]
    ratio = net.mlp_dim / net.hidden_dim
    return ViTShape(net.patch_size, net.hidden_dim, len(net.encoder.layers), block.num_heads, ratio)


def _state(spec: TorchvisionBackbone) -> tuple[State, str]:
    """The tensors under torchvision's names, and where they come from."""
    if spec.pretrained != "hub":
        path = find_weights(spec.pretrained)
        return read_weights(path), str(path)
    weights = _weights(spec)
    if reason := why_unavailable(spec):
        raise not_here(spec.name, reason, local="path/to/weights.pth")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch.hub announces a download on the standard output
            state: State = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise not_here(spec.name, f"could not be loaded: {error}", local="path/to/weights.pth") from error
    return state, weights.url


def why_unavailable(spec: TorchvisionBackbone) -> str | None:
    """None when the weights lie in torch's cache or can be downloaded; otherwise the reason, as a clause."""
    weights = _weights(spec)
    if weights is None:
        return "torchvision publishes none under this name"
    if (Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name).is_file():
        return None
    return why_unreachable(weights.url, "torchvision's server")


def input_needs(spec: TorchvisionBackbone) -> InputNeeds:
    """Input needs of the model and its weights."""
    return weights_needs(spec, size_multiple(spec), weights_statistics(spec), weights_framing(spec))


def licence(spec: TorchvisionBackbone) -> str:
    """Licence of the weights; torchvision says one for those of SWAG only."""
    weights = _weights(spec) if spec.pretrained == "hub" else None
    return SWAG_LICENCE if weights is not None and "SWAG" in (weights.meta.get("license") or "") else ""


NETWORK = Network(build_torchvision, input_needs, pinned, licence)
