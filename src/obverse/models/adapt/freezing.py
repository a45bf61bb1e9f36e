"""Freezing: which parts of a classifier train in an epoch, a pure function of the recipe and the epoch.

So resuming needs no state. Stages are those that the backbone states; batch norm is found by its type.
`Classifier.train` puts modules whose parameters are all frozen into evaluation mode: their batch norm keeps its
statistics, and their dropout is off.
"""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from obverse.errors import RecipeError
from obverse.models.classifier import Classifier
from obverse.recipe import FinetuneSpec

from .groups import stage_numbers
from .lora import add_lora

# An epoch after every scheduled unfreezing.
FINALLY = sys.maxsize


def prepare(model: Classifier, spec: FinetuneSpec) -> None:
    """Add LoRA if the recipe has it. RecipeError when the recipe does not fit the backbone."""
    for backbone in model.backbones:
        if spec.lora:
            add_lora(backbone, spec.lora)
        if spec.freeze_norm is True and not _norms(backbone):
            raise RecipeError("finetune.freeze_norm: the backbone has no batch norm; leave it at auto")
        if _has_frozen_stages(spec):
            num_stages = 1 + max(stage_numbers(backbone, coarse=True).values())
            if spec.train_stages is not None and spec.train_stages >= num_stages:
                raise RecipeError(f"finetune.train_stages: {spec.train_stages} of {num_stages} stages freezes nothing; "
                                  "leave it out")  # fmt: skip
            if spec.freeze_stages >= num_stages:
                raise RecipeError(f"finetune.freeze_stages: {spec.freeze_stages} of {num_stages} stages leaves "
                                  "nothing of the backbone to train; say finetune.train=head")  # fmt: skip


def set_trainable(model: Classifier, spec: FinetuneSpec, *, epoch: int = FINALLY) -> None:
    """Set `requires_grad` of the parameters for an epoch (from 0); by default for after all scheduled unfreezing."""
    for backbone in model.backbones:
        if spec.lora is None:
            _set_stages(backbone, spec, epoch)
        if spec.freeze_norm is True:
            for norm in _norms(backbone):
                norm.requires_grad_(False)


def _set_stages(backbone: nn.Module, spec: FinetuneSpec, epoch: int) -> None:
    if spec.train == "all" and not _has_frozen_stages(spec):
        backbone.requires_grad_(True)
    elif spec.train == "head":
        backbone.requires_grad_(False)
    else:
        stages = stage_numbers(backbone, coarse=True)
        num_frozen = spec.num_frozen(1 + max(stages.values()), epoch=epoch)
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(stages[name] >= num_frozen)


def _has_frozen_stages(spec: FinetuneSpec) -> bool:
    return bool(spec.freeze_stages or spec.train_stages or spec.unfreeze_epochs)


def has_folded_norm(model: Classifier) -> bool:
    """Whether the backbones have batch norm whose statistics are all mean 0 and variance 1, as in folded weights."""
    norms = [norm for backbone in model.backbones for norm in _norms(backbone)]
    return bool(norms) and all(_is_folded(norm) for norm in norms)


def _is_folded(norm: _BatchNorm) -> bool:
    mean, var = norm.running_mean, norm.running_var
    return mean is not None and var is not None and not bool(mean.any()) and bool(torch.all(var == 1))


def _norms(module: nn.Module) -> list[_BatchNorm]:
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]
