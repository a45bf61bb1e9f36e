"""Estimate of a run's memory from its recipe and model, before anything is allocated.

Two steps, a validation and a checkpoint run on shapes only (ledger.py), with the model, optimizer, freezing, number
format and activation checkpointing of the recipe. Memory that shapes do not show is added from measurements: the pages
of libraries and the scratch memory of their kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from obverse.bundle import Bundle
from obverse.models import Classifier, enable_checkpointing, prepare, set_trainable
from obverse.recipe import ResolvedRecipe
from obverse.runtime import autocast, supports_bf16
from obverse.training import build_optimizer

from .ledger import CUDA_BLOCK, Event, Ledger, exact_peak, heap_peak

# Memory above the imported baseline, torch 2.15 on x86-64: pages of libraries first used in a step, and generated
# kernels. With every block mapped by itself (no holes) runs took 38 to 52 MB more than their tensors.
CPU_LIBRARY_BYTES = 40e6
# Kernels copy into layouts of their own, and the copies fragment the heap. Over five networks peaks were 0 to 20 %
# above the replayed heap.
CPU_SCRATCH = 1.1
# Workspace of cuBLAS: 32 MiB on Hopper, 8 MiB on earlier GPUs.
CUDA_WORKSPACE_BYTES = 32 * 2**20
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Memory:
    """Memory of a run, in bytes."""

    model: int
    gradients: int
    optimizer: int

    average: int
    """Moving average of the weights."""

    activations: int
    """Peak of one micro-batch, with the gradients that replace activations."""

    pixels: int
    """Cached pictures in memory."""

    peak: int
    """Peak on the device that trains, with validation and (on a processor) checkpoints."""

    training_flops: int
    """Floating-point operations to train on one sample."""

    @property
    def before_activations(self) -> int:
        """Bytes in use between two steps."""
        return self.model + self.gradients + self.optimizer + self.average


def plan_memory(
    recipe: ResolvedRecipe, bundle: Bundle, *, device: str, micro_batch_size: int, cache_bytes: int = 0
) -> Memory:
    """The memory of training `recipe` on a `cpu` or `cuda` device."""
    ledger = Ledger(unfolds_bf16=device == "cpu" and not supports_bf16(CPU))
    with torch.device("meta"):
        model = bundle.build()
        prepare(model, recipe.finetune)
        set_trainable(model, recipe.finetune, epoch=0)
        if recipe.runtime.checkpointing:
            enable_checkpointing(model)
        if recipe.runtime.channels_last:
            model.to(memory_format=torch.channels_last)
    run = _Run(recipe, bundle, model, device, micro_batch_size)
    with FakeTensorMode(allow_non_fake_inputs=True), ledger:
        memory = run.walk(ledger)
    pixels = cache_bytes if device == "cpu" else 0
    return Memory(**memory, pixels=pixels, peak=pixels + _peak(ledger.events, device))


def _peak(events: list[Event], device: str) -> int:
    if device == "cuda":
        return exact_peak(events, block_bytes=CUDA_BLOCK) + CUDA_WORKSPACE_BYTES
    return int(CPU_SCRATCH * heap_peak(events) + CPU_LIBRARY_BYTES)


@dataclass
class _Run:
    recipe: ResolvedRecipe
    bundle: Bundle
    model: Classifier
    device: str
    micro_batch_size: int

    def walk(self, ledger: Ledger) -> dict[str, int]:
        """Bytes of each part of the memory, while the ledger records."""
        training = self.recipe.training
        self.model.to_empty(device="cpu").train()
        own = ledger.live_bytes
        average = [torch.empty_like(t) for t in self.model.state_dict().values()] if training.ema_decay else []
        held = self._batches(ledger)
        optimizer = build_optimizer(self.recipe.optim, self.model, layer_decay=self.recipe.finetune.layer_decay)
        activations = [self._step(optimizer, ledger)]
        flops = ledger.flops // (self.micro_batch_size * self._num_micro)
        gradients = sum(_bytes(p.grad) for p in self.model.parameters() if p.grad is not None)
        state = sum(_bytes(t) for s in optimizer.state.values() for t in s.values() if isinstance(t, torch.Tensor))
        best = self._validate(ledger)
        if self.device == "cpu":
            self._save(ledger, own, state, num_averages=1 if average else 0)
        # Now the optimizer has its state, and earlier best weights stay until there are better ones.
        activations.append(self._step(optimizer, ledger))
        ledger.give_back(*held, *best, *self._validate(ledger))
        if self.recipe.runtime.precision in ("bf16", "fp16"):
            self._report()
        return {
            "model": own,
            "gradients": gradients,
            "optimizer": state,
            "average": sum(map(_bytes, average)),
            "activations": max(activations),
            "training_flops": flops,
        }

    @property
    def _num_micro(self) -> int:
        """Number of micro-batches in a simulated step: two show the cost of accumulation, more add nothing."""
        return 2 if self.recipe.training.batch_size > self.micro_batch_size else 1

    def _shape(self, num_samples: int) -> tuple[int, ...]:
        g = self.bundle.geometry
        return num_samples, len(self.bundle.views), 3, g.canvas_height, g.canvas_width

    def _batches(self, ledger: Ledger) -> list[Event]:
        """Allocations of uint8 batches: the one in use, and the two prefetched ones (`data/prefetch.py`)."""
        batch = self.recipe.training.batch_size
        count = 3 if self.device == "cpu" else 1
        return [ledger.take(torch.Size(self._shape(batch)).numel()) for _ in range(count)]

    def _step(self, optimizer: torch.optim.Optimizer, ledger: Ledger) -> int:
        """Peak bytes of a micro-batch above those in use before it."""
        most = 0
        self.model.train()
        optimizer.zero_grad(set_to_none=True)
        for _ in range(self._num_micro):
            place = len(ledger.events)
            self._logits(self.micro_batch_size).float().log_softmax(-1).sum().backward()  # type: ignore[no-untyped-call]
            most = max(most, exact_peak(ledger.events[place:]))
        optimizer.step()
        return most

    def _logits(self, num_samples: int, precision: str | None = None) -> torch.Tensor:
        images_BVCHW = torch.empty(self._shape(num_samples))
        if self.recipe.runtime.channels_last:
            flat = images_BVCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            images_BVCHW = flat.unflatten(0, images_BVCHW.shape[:2])  # type: ignore[no-untyped-call]
        present_BV = torch.ones(images_BVCHW.shape[:2], dtype=torch.bool)
        with autocast(CPU, precision or self.recipe.runtime.precision):
            columns_BE = torch.zeros(num_samples, len(self.bundle.columns))
            each_view = self.model.training and self.model.grades_views
            logits: torch.Tensor = self.model(images_BVCHW, present_BV, columns_BE, each_view=each_view)
        return logits

    def _validate(self, ledger: Ledger) -> list[Event]:
        """Allocations of a validation batch, then of a copy of the best weights."""
        self.model.eval()
        with torch.no_grad():
            self._logits(self.recipe.evaluation.batch_size)
        if self.device == "cuda":
            return []
        return [ledger.take(_bytes(tensor)) for tensor in self.model.state_dict().values()]

    @torch.no_grad()
    def _report(self) -> None:
        """Allocations of the final evaluation, which is in fp32 whatever the training precision."""
        self.model.eval()
        self._logits(self.recipe.evaluation.batch_size, "fp32")

    def _save(self, ledger: Ledger, model: int, optimizer: int, *, num_averages: int) -> None:
        """Allocations of a checkpoint: copies of all states, and the largest one again as a file in memory."""
        sizes = [_bytes(tensor) for tensor in self.model.state_dict().values()]
        copies = [ledger.take(size) for size in sizes * (1 + num_averages)]
        copies += [ledger.take(optimizer)]
        ledger.give_back(ledger.take(model), ledger.take(model))
        ledger.give_back(ledger.take(optimizer), ledger.take(optimizer))
        ledger.give_back(*copies)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def sizes_that_halve(largest: int) -> Iterator[int]:
    """Batch sizes to try: the largest, then all powers of two below it."""
    yield largest
    size = 1 << (largest.bit_length() - 1)
    while size:
        if size < largest:
            yield size
        size //= 2
