"""Micro-batch size that is halved when memory runs out; the step is then repeated with the same samples and dropout.

Only gradients are repeated. Running out of memory while weights change cannot be undone and ends the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from obverse.errors import OutOfMemoryError
from obverse.runs import is_lack_of_memory
from obverse.runtime import restore_torch_random_state, torch_random_state

Result = TypeVar("Result")


class MicroBatches:
    """Adaptive micro-batch size.

    size: samples per forward pass. can_shrink: False with several processes, which would not shrink alike.
    """

    def __init__(self, size: int, *, can_shrink: bool = True) -> None:
        self.size, self.can_shrink = size, can_shrink
        self._news: list[str] = []
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def news(self) -> list[str]:
        """Messages for the user since the last call."""
        news, self._news = self._news, []
        return news

    def attempt(self, model: nn.Module, num_samples: int, gradients: Callable[[int], Result]) -> Result:
        """The result of `gradients(size)` for a batch of `num_samples`, repeated with half the size on lack of memory.

        Buffers and random state are restored before each repetition. Raises OutOfMemoryError when a single sample does
        not fit.
        """
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
        random_state = torch_random_state()
        while True:
            try:
                return gradients(self.size)
            except (MemoryError, RuntimeError) as error:
                if not is_lack_of_memory(error):
                    raise
                fault = " ".join(str(error).split())[:200]
            # Outside the handler, because the exception's traceback keeps the activations alive.
            self._shrink(num_samples, fault)
            self.undo()
            restore_torch_random_state(random_state)

    @torch.no_grad()
    def undo(self) -> None:
        """Restore the model's buffers (statistics of batch norm) to their state before the last attempt."""
        for buffer, before in self._buffers:
            buffer.copy_(before)

    def _shrink(self, num_samples: int, fault: str) -> None:
        used = min(self.size, num_samples)
        if used == 1 or not self.can_shrink:
            what = "even one sample at a time is too much" if used == 1 else f"{used} samples at a time are too many"
            raise OutOfMemoryError(
                f"out of memory: {what} ({fault}). Try runtime.checkpointing=true, a smaller data.size, a smaller "
                "training.micro_batch_size or a smaller model; `obverse plan` says what fits"
            )
        self.size = -(-used // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._news.append(
            f"out of memory with {used} samples at a time: from now on {self.size}, in the same batches "
            "(without batch norm the result stays the same)"
        )
