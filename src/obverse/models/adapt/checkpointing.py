"""Gradient checkpointing: activations are computed again in the backward pass instead of being kept (Chen et al. 2016).

It is enabled by timm's `set_grad_checkpointing`, which our networks implement too. torch restores the random state for
the recomputation, so dropout is the same. Batch norm would update its statistics twice, which is prevented here.
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
    """Enable gradient checkpointing in all backbones. RecipeError when a backbone does not support it."""
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
    """Hooks of a batch norm that keep its running statistics unchanged in the recomputation of a batch."""

    def __init__(self, norm: _BatchNorm) -> None:
        self.momentum = norm.momentum
        norm.register_forward_pre_hook(self.before)
        norm.register_forward_hook(self.after, always_call=True)

    def before(self, norm: nn.Module, _: Any) -> None:
        """Set the momentum to 0 in the recomputation: a statistic s becomes 1 * s + 0 * batch, which is exactly s."""
        assert isinstance(norm, _BatchNorm)
        norm.momentum = 0.0 if _in_backward() else self.momentum

    def after(self, norm: nn.Module, *_: Any) -> None:
        """Restore the momentum, and undo the count of batches, which momentum does not scale."""
        assert isinstance(norm, _BatchNorm)
        norm.momentum = self.momentum
        if _in_backward() and norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.sub_(1)


def _in_backward() -> bool:
    # The test that torch.utils.checkpoint uses itself.
    return torch._C._current_graph_task_id() != -1
