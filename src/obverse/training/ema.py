"""Exponential moving averages, of the weights and of batch norm's statistics, with a warm-up of the decay.

The decay after n updates is min(decay, (1 + n) / (10 + n)) (as in TensorFlow's ExponentialMovingAverage), so that short
runs are not averaged with the initial values. The average of the weights covers the buffers of batch norm too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def warmed(decay: float, num_updates: float) -> float:
    """The decay of an average that has been updated `num_updates` times."""
    return min(decay, (1 + num_updates) / (10 + num_updates))


class WeightAverage:
    """Copy of a model with averaged weights; call `update` after every optimizer step."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._pairs: list[tuple[torch.Tensor, torch.Tensor]] = []

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's weights."""
        decay = warmed(self.decay, self.num_updates)
        self.num_updates += 1
        pairs = self._pairs or self._paired(model)
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in floats], [theirs for _, theirs in floats], 1 - decay)
        # Integer buffers, such as batch norm's step counter, cannot be averaged.
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)

    def _paired(self, model: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Every tensor of the average with that of `model`; of shards this rank's, as the average is elementwise.

        Kept, because collecting them takes as long as averaging them. Not kept of shards, which FSDP moves.
        """
        theirs = model.state_dict(keep_vars=True)
        pairs = [(mine, theirs[name]) for name, mine in self.model.state_dict(keep_vars=True).items()]
        if any(hasattr(mine, "to_local") for mine, _ in pairs):
            return [(_here(mine), _here(theirs)) for mine, theirs in pairs]
        self._pairs = pairs
        return pairs


class FreshStatistics:
    """Warm-up of the running statistics of batch norms, for a model that starts from random weights.

    torch's average of the batches' statistics starts at mean 0 and variance 1 and trails ten batches behind. After a
    few dozen steps it fits no network that ever was, and a trained one answers as if by chance. The warm-up ends after
    80 steps.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        norms = (module for module in modules if isinstance(module, _BatchNorm))
        self._norms = [norm for norm in norms if norm.momentum]  # without one the average is that of all batches

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context of one step of training, of one or several micro-batches."""
        before = [_Before.of(norm) for norm in self._norms]
        yield
        self._norms = [norm for norm, old in zip(self._norms, before, strict=True) if old.warm_up(norm)]


@dataclass(frozen=True)
class _Before:
    """A batch norm's running mean and variance before a step, and how many micro-batches it had seen."""

    statistics: list[torch.Tensor]
    num_seen: int

    @classmethod
    def of(cls, norm: _BatchNorm) -> _Before:
        return cls([running_C.clone() for running_C in _running(norm)], _num_seen(norm))

    @torch.no_grad()
    def warm_up(self, norm: _BatchNorm) -> bool:
        """Whether `norm` is still warming up; its statistics then get the decay that the number of steps says."""
        num_micro_batches = _num_seen(norm) - self.num_seen
        if not num_micro_batches:  # frozen
            return True
        decay: float = (1 - (norm.momentum or 0)) ** num_micro_batches
        wanted = warmed(decay, self.num_seen / num_micro_batches)
        if wanted == decay:
            return False
        for running_C, before_C in zip(_running(norm), self.statistics, strict=True):
            running_C.copy_(before_C.lerp(running_C, (1 - wanted) / (1 - decay)))
        return True


def _running(norm: _BatchNorm) -> list[torch.Tensor]:
    return [running_C for running_C in (norm.running_mean, norm.running_var) if running_C is not None]


def _num_seen(norm: _BatchNorm) -> int:
    return 0 if norm.num_batches_tracked is None else int(norm.num_batches_tracked)


def _here(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
