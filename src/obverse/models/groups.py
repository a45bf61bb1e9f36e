"""Which parameters are decayed. Each module is asked what it knows about itself; names are never parsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


def undecayed_names(model: nn.Module) -> set[str]:
    """Full names of parameters that weight decay must not touch.

    Norms, biases and scales have at most one dimension; embedding tables are `nn.Embedding`; position embeddings and
    tokens are named by the module's own `no_weight_decay()` (timm's convention).
    """
    names = {name for name, parameter in model.named_parameters() if parameter.ndim <= 1}
    for prefix, module in model.named_modules():
        dot = f"{prefix}." if prefix else ""
        ask: Callable[[], Any] | None = getattr(module, "no_weight_decay", None)
        if ask is not None:
            names |= {dot + name for name in ask()}
        if isinstance(module, nn.Embedding):
            names.add(f"{dot}weight")
    return names


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimizer: decayed and not; frozen parameters are left out."""
    undecayed = undecayed_names(model)
    trainable = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    decayed = [parameter for name, parameter in trainable if name not in undecayed]
    rest = [parameter for name, parameter in trainable if name in undecayed]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
