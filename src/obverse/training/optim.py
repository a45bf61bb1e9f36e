"""Optimizers from their spec."""

from __future__ import annotations

import torch
from torch import nn

from obverse.models import parameter_groups
from obverse.recipe import ResolvedOptim
from obverse.runtime import without_compiler


def build_optimizer(
    spec: ResolvedOptim, model: nn.Module, *, layer_decay: float = 1.0, fused: bool = True
) -> torch.optim.Optimizer:
    """The optimizer over all trainable parameters. Learning rates are set every step, by the schedule and `lr_scale`.

    Parameters that are frozen at first and unfrozen later are included; they have no state before their first gradient.
    fused: one kernel for the whole update of Adam, on a CPU too, where it is several times as fast. Not for tensors
    that FSDP has sharded.
    """
    groups = parameter_groups(model, spec.weight_decay, layer_decay=layer_decay)
    kind = without_compiler({"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.kind])
    optimizer: torch.optim.Optimizer
    if spec.kind == "sgd":  # whose fused kernel fails when parameters join that were frozen before
        optimizer = kind(groups, lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0)
    else:
        optimizer = kind(groups, lr=spec.lr, betas=spec.betas, fused=fused or None)
    return optimizer
