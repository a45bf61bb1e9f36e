"""Adapter of another library's network to the interface of a backbone: features, stages, checkpointing.

The classifier is removed; the remaining network pools as the library does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from obverse.errors import RecipeError
from obverse.models.adapt.lora import LoraLinear

# A stage is a child with a number in its name (layer1, features.3, encoder.layer.0); its layers are numbered children.
# The number of a family (dinov2, swinv2) or a bare convolution (conv1) is none.
STAGE = re.compile(r"^(?:\w*v\d\w*\.)?+(?:[^.\d]+\.)*?[^.]*\d[^.]*")
LAYER = re.compile(STAGE.pattern + r"(?:\.(?:(?:layers?|blocks?)\.)?(?:\d+|denselayer\d+|block\d+-\d+)(?=\.|$))?")
# Layers whose parameters with two and more axes are weights: our own low-rank ones have names of their own.
MULTIPLIES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention, LoraLinear)
# In Swin v2 two layers compute what is a table in Swin.
POSITIONS = re.compile(r"(?:^|\.)(?:cpb_mlp|continuous_position_bias_mlp)(?:\.|$)")


class AdaptedBackbone(nn.Module):
    """Backbone made of `net` without its classifier, which is its last layer with `num_outputs` outputs.

    A subclass overrides `forward` if `net` does not return features.
    """

    def __init__(self, net: nn.Module, *, num_outputs: int) -> None:
        super().__init__()
        self.num_features = _remove_classifier(net, num_outputs)
        self.net = net

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Features (B, num_features)."""
        features: torch.Tensor = self.net(images_BCHW)
        return features.flatten(1)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """Parameter name -> stage or layer, in the order of the network (timm's convention)."""
        numbers = _numbers(self, STAGE if coarse else LAYER)
        return lambda name: numbers[name]

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay (timm's convention).

        These are tokens, position tables, scales, and small networks that compute position tables. A parameter is
        decayed if it belongs to a layer in MULTIPLIES, or is named `weight` and is more than a scale of each channel.
        """
        names = set()
        for path, module in self.named_modules():
            places = POSITIONS.search(path)
            for name, parameter in module.named_parameters(recurse=False):
                is_scale = sum(length > 1 for length in parameter.shape) <= 1
                is_weight = isinstance(module, MULTIPLIES) or (name.endswith("weight") and not is_scale)
                if places or "bias" in name or not is_weight:
                    names.add(f"{path}.{name}" if path else name)
        return names

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only the input of each layer for the backward pass (timm's convention)."""
        assert enable, "it is asked for once, before training"
        paths = dict.fromkeys(match[0] for name, _ in self.net.named_parameters() if (match := LAYER.match(name)))
        # A single convolution or norm has nothing to forget.
        layers = [layer for path in paths if list((layer := self.net.get_submodule(path)).children())]
        if not layers:
            raise NotImplementedError
        for layer in layers:
            layer.__class__ = _recomputing(type(layer))  # type: ignore[arg-type]


def patch_strides(net: nn.Module) -> list[int]:
    """Strides of the convolutions that cut a map into patches, in order; they drop pixels that do not fill a patch."""
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    return [
        max(conv.stride) for conv in convolutions
        if conv.kernel_size == conv.stride and max(conv.stride) > 1 and conv.padding in ((0, 0), "valid")
    ]  # fmt: skip


def require_size(skeleton: nn.Module, name: str, height: int, width: int) -> None:
    """RecipeError when the network cannot take pictures of this size. skeleton: the network on the meta device."""
    try:
        skeleton.eval()(torch.empty(1, 3, height, width, device="meta"))
    except NotImplementedError:
        return  # an operation that knows no shapes
    except (RuntimeError, ValueError, AssertionError):
        raise RecipeError(
            f"model.backbone: `{name}` cannot take pictures of {width}x{height} (width x height): they are too small "
            "for it, or it takes squares or one size only; change data.size"
        ) from None


def _remove_classifier(net: nn.Module, num_outputs: int) -> int:
    """Number of input features of the classifier, after removing it from `net`."""
    for path, module in reversed(list(net.named_modules())):
        parent, _, name = path.rpartition(".")
        if isinstance(module, nn.Linear) and module.out_features == num_outputs:
            setattr(net.get_submodule(parent), name, nn.Identity())
            return module.in_features
        if isinstance(module, nn.Conv2d) and module.out_channels == num_outputs:
            setattr(net.get_submodule(parent), name, nn.Identity())
            return module.in_channels
    raise RecipeError(f"model.backbone: {type(net).__name__} is no classifier: it has no layer with {num_outputs} "
                      "outputs; choose an image classification model")  # fmt: skip


def _numbers(backbone: AdaptedBackbone, pattern: re.Pattern[str]) -> dict[str, int]:
    """Parameter name -> number of the stage or layer that `pattern` finds.

    Names without a match belong to the preceding stage, and so do stages that only normalise or scale.
    """
    place_of: dict[str, str] = {}
    sizes: dict[str, int] = {}
    place = ""
    for name, parameter in backbone.net.named_parameters():
        match = pattern.match(name)
        place = match[0] if match else place
        place_of[name] = place
        sizes[place] = max(sizes.get(place, 0), parameter.ndim)
    numbers, number = {}, -1
    for place, most_dimensions in sizes.items():
        number = max(0, number + (most_dimensions > 1))
        numbers[place] = number
    return {f"net.{name}": numbers[place] for name, place in place_of.items()}


@cache
def _recomputing(kind: type[nn.Module]) -> type[nn.Module]:
    """Subclass of a layer that keeps only its input for the backward pass. A class, so that copies stay independent."""

    def forward(self: nn.Module, *inputs: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return kind.forward(self, *inputs, **options)
        return checkpoint(kind.forward, self, *inputs, use_reentrant=False, **options)

    return type(f"Recomputing{kind.__name__}", (kind,), {"forward": forward})
