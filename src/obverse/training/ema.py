"""An exponential moving average of the weights, with a warm-up of the decay.

The decay after n updates is min(decay, (1 + n) / (10 + n)) (as in TensorFlow's ExponentialMovingAverage), so that short
runs are not averaged with the initial weights. Buffers of batch norm are averaged too.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """Copy of a model with averaged weights; call `update` after every optimizer step."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's weights."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        mine, theirs = _here(self.model), _here(model)
        # Integer buffers, such as batch norm's step counter, are copied below, because they cannot be averaged.
        floats = [name for name, tensor in mine.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
        for name, tensor in mine.items():
            if not tensor.is_floating_point():
                tensor.copy_(theirs[name])


def _here(model: nn.Module) -> dict[str, torch.Tensor]:
    """This rank's shard of every tensor, which suffices because the average is elementwise."""
    state = model.state_dict()
    return {name: tensor.to_local() if hasattr(tensor, "to_local") else tensor for name, tensor in state.items()}
