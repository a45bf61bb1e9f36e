"""Gradient checkpointing: activations are computed again in the backward pass instead of being kept (Chen et al. 2016).

The model is asked (timm's `set_grad_checkpointing`, which our networks answer, too). torch restores the random state
for the second computation, so dropout repeats itself; batch norm would count its batch twice, which is prevented here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from obverse.errors import RecipeError
from obverse.models.classifier import Classifier


def enable_checkpointing(model: Classifier) -> None:
    """Keep only what lies between the backbones' parts. RecipeError when a backbone cannot."""
    for backbone in model.backbones:
        ask: Callable[..., Any] | None = getattr(backbone, "set_grad_checkpointing", None)
        try:
            if ask is None:
                raise NotImplementedError
            ask(True)
        except (AssertionError, NotImplementedError):  # timm asserts where it is not implemented
            raise RecipeError(
                f"runtime.checkpointing: {type(backbone).__name__} does not support it; use a smaller "
                "training.micro_batch_size instead"
            ) from None
        for module in backbone.modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                _CountOnce(module)


class _CountOnce:
    """Around a batch norm: in the second computation of a batch its statistics stay as they are."""

    def __init__(self, norm: _BatchNorm) -> None:
        self.momentum = norm.momentum
        norm.register_forward_pre_hook(self.before)
        norm.register_forward_hook(self.after, always_call=True)

    def before(self, norm: nn.Module, _: Any) -> None:
        """With momentum 0 a statistic s becomes 1 * s + 0 * batch: exactly s."""
        assert isinstance(norm, _BatchNorm)
        norm.momentum = 0.0 if _in_backward() else self.momentum

    def after(self, norm: nn.Module, *_: Any) -> None:
        """Undo what momentum does not scale."""
        assert isinstance(norm, _BatchNorm)
        norm.momentum = self.momentum
        if _in_backward() and norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.sub_(1)


def _in_backward() -> bool:
    # As torch.utils.checkpoint asks.
    return torch._C._current_graph_task_id() != -1
