"""Optimizers from their spec."""

from __future__ import annotations

import torch
from torch import nn

from obverse.models import parameter_groups
from obverse.recipe import OptimSpec


def build_optimizer(spec: OptimSpec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over the model's decayed and undecayed parameters; the rate is set by the schedule every step."""
    assert spec.lr != "auto"
    groups = parameter_groups(model, spec.weight_decay)
    if spec.kind == "sgd":
        return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0)
    kind = torch.optim.AdamW if spec.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=spec.lr, betas=spec.betas)


def optimizer_to_cpu(state: dict[str, object]) -> dict[str, object]:
    """An optimizer's state dict with every tensor copied to the CPU, for a checkpoint."""
    moved: dict[str, object] = torch.utils._pytree.tree_map(
        lambda value: value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value, state
    )
    return moved
