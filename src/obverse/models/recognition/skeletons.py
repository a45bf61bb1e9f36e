"""Names and shapes of a network's tensors without classifier, from its construction on the meta device.

What a constructor draws is skipped, which makes it several times faster.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from obverse.errors import RecipeError
from obverse.models.backbones.torchvision_backbone import skeleton
from obverse.models.weights.weight_files import BESIDE, State
from obverse.recipe import TorchvisionBackbone

Shapes = dict[str, tuple[int, ...]]
# In-place operations with which constructors initialise.
_DRAWS = """
add_ clamp_ constant_ erfinv_ fill_ kaiming_normal_ kaiming_uniform_ mul_ normal_ ones_ trunc_normal_ uniform_
xavier_normal_ xavier_uniform_ zero_ zeros_
"""
DRAWS = frozenset(_DRAWS.split())
# Position embeddings, which are resampled when they are loaded: only their width counts.
POSITIONS = re.compile(r"(?:^|\.)(?:pos_embed|pos_embedding|position_embeddings)$")
# Tensors that follow from the architecture; files of some versions have them and others do not.
DERIVED = re.compile(r"(?:num_batches_tracked|relative_position_index|attn_mask|rope_embed\.periods|bias_mask)$")
# Tensors that serve training or another task, and are no part of a backbone.
FURTHER = BESIDE | {
    "AuxLogits",
    "aux1",
    "aux2",
    "last_linear",
    "logit_bias",
    "logit_scale",
    "mask_token",
    "pooler",
    "pre_logits",
}
REFUSALS = (RecipeError, TypeError, ValueError, AssertionError, ArithmeticError, LookupError, RuntimeError)


@dataclass(frozen=True)
class Match:
    """Comparison of a file's tensors with those of a network."""

    num_alike: int
    """Tensors of the network that the file has in the same shape."""

    num_tensors: int
    """Tensors of the network."""

    num_unexplained: int
    """Tensors of the file that are no part of the network, and of no classifier."""

    @property
    def is_exact(self) -> bool:
        """Whether the file holds this network, and no larger one."""
        return 0 < self.num_alike == self.num_tensors and not self.num_unexplained

    @property
    def likeness(self) -> float:
        """Share of tensors that agree, of all in the file or in the network."""
        return self.num_alike / max(1, self.num_tensors + self.num_unexplained)


def compare(file: State, own: Shapes) -> Match:
    """Comparison of the tensors of a file with the tensors of a network."""
    shapes = shapes_of(file)
    alike = sum(shapes.get(name) == shape for name, shape in own.items())
    others = [name for name in shapes.keys() - own.keys() if name.partition(".")[0] not in FURTHER]
    return Match(alike, len(own), len(others))


def shapes_of(state: State) -> Shapes:
    """Name -> shape, without derived tensors; of a position embedding only the width."""
    return {
        name: tuple(tensor.shape[-1:] if POSITIONS.search(name) else tensor.shape)
        for name, tensor in state.items()
        if not DERIVED.search(name)
    }


@cache
def timm_shapes(name: str, options: tuple[tuple[str, Any], ...] = ()) -> Shapes | None:
    """Tensors of a timm model without classifier; None when it cannot be built like that."""
    return _built(lambda: timm.create_model(name, num_classes=0, **dict(options)))


@cache
def torchvision_shapes(name: str) -> Shapes | None:
    """Tensors of a torchvision model without classifier; None when it cannot be built."""
    return _built(lambda: skeleton(TorchvisionBackbone(name=name)).net)


class _WithoutDraws(TorchFunctionMode):
    """Mode in which the in-place operations of DRAWS do nothing."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and getattr(function, "__name__", "") in DRAWS:
            return args[0]
        return function(*args, **(kwargs or {}))


def _built(build: Callable[[], nn.Module]) -> Shapes | None:
    for device in ("meta", "cpu"):  # some constructors compute widths with tensors, which needs their values
        try:
            with torch.device(device), _WithoutDraws(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return shapes_of(build().state_dict())
        except REFUSALS:
            continue
    return None
