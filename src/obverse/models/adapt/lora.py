"""Low-rank adaptation of linear layers (Hu et al. 2021): y = W x + b + (alpha / rank) B A x, with B zero at the start.

It is used in training only. Checkpoints and bundles have merged layers, with the weight W + (alpha / rank) B A.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from obverse.errors import RecipeError
from obverse.recipe import LoraSpec


class LoraLinear(nn.Module):
    """Linear layer with a low-rank update: `base` is frozen; `down` (R, in) and `up` (out, R) train."""

    def __init__(self, base: nn.Linear, spec: LoraSpec) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = spec.alpha / spec.rank
        self.down = nn.Parameter(base.weight.new_empty(spec.rank, base.in_features))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, spec.rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    @property
    def weight(self) -> torch.Tensor:
        """The merged weight (out, in), which some attention layers use directly."""
        return self.base.weight + self.scale * (self.up @ self.down)

    @property
    def bias(self) -> torch.Tensor | None:
        """Bias of the base layer (out), or None."""
        return self.base.bias

    @property
    def in_features(self) -> int:
        """Number of input features."""
        return self.base.in_features

    @property
    def out_features(self) -> int:
        """Number of output features."""
        return self.base.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), computed without the merged weight."""
        base: torch.Tensor = self.base(x)
        return base + self.scale * functional.linear(functional.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The plain layer that computes the same."""
        self.base.weight.copy_(self.weight)
        return self.base


def add_lora(backbone: nn.Module, spec: LoraSpec) -> None:
    """Freeze the backbone and add low-rank updates to its linear layers; RecipeError when it has no linear layer.

    In a transformer every plain linear layer belongs to attention or the MLP (patches are embedded by a convolution).
    """
    backbone.requires_grad_(False)
    places = [
        (parent, name, child)
        for parent in backbone.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Linear
    ]
    if not places:
        raise RecipeError("finetune.lora: the backbone has no linear layers, because it is no transformer; "
                          "use finetune.train_stages or finetune.layer_decay")  # fmt: skip
    for parent, name, child in places:
        setattr(parent, name, LoraLinear(child, spec))


def merge_lora(model: nn.Module) -> None:
    """Replace every adapted layer by the plain one that computes the same."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoraLinear):
                setattr(parent, name, child.merged())


@torch.no_grad()
def plain_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict that `model` would have after `merge_lora`; the model stays as it is."""
    state = dict(model.state_dict())
    for path, module in model.named_modules():
        if isinstance(module, LoraLinear):
            names = [f"{path}.{name}" for name in module.state_dict()]
            for name in names:
                state.pop(name)
            state[f"{path}.weight"] = module.weight
            if module.bias is not None:
                state[f"{path}.bias"] = module.bias.detach()
    return state
