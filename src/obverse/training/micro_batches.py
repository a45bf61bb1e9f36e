"""The micro-batch size in use: halved when memory runs out, for the same step with the same samples and dropout.

Only gradients may be tried again. Running out of memory while weights change cannot be undone and ends the run.
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
    """size: samples per forward pass. can_shrink: False where other processes would not do the same."""

    def __init__(self, size: int, *, can_shrink: bool = True) -> None:
        self.size, self.can_shrink = size, can_shrink
        self._news: list[str] = []
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def news(self) -> list[str]:
        """Sentences for the user since the last call."""
        news, self._news = self._news, []
        return news

    def attempt(self, model: nn.Module, num_samples: int, gradients: Callable[[int], Result]) -> Result:
        """`gradients(size)` of a batch of `num_samples`, again with half the size as often as memory runs out.

        Everything that a forward pass changes (buffers, random state) is as before when it is tried again. Raises
        OutOfMemoryError when a single sample is too much.
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
            # Outside the handler: the exception's traceback held the activations.
            self._shrink(num_samples, fault)
            self.undo()
            restore_torch_random_state(random_state)

    @torch.no_grad()
    def undo(self) -> None:
        """Give the buffers of the model (statistics of batch norm) what they were before the last attempt."""
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
