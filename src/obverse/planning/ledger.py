"""Memory ledger: the allocations of a computation that runs on shapes only, replayed through models of allocators.

Under `FakeTensorMode` every operation runs on shapes alone, through the same dispatcher as real ones, so that autocast,
checkpointing, frozen parts and the optimizer's state are counted because they really happen. `exact_peak` is what the
live tensors come to at most. `heap_peak` replays them through the rules of glibc's malloc as a run sets it up
(`keep_freed_memory`): blocks of 32 MiB and more are mapped and given back, smaller ones take the smallest hole that is
large enough, and the heap never shrinks. Measured in single runs, exact blocks and heap differ by 2 to 30 %.
"""

from __future__ import annotations

import bisect
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

MAPPED_BYTES = 32 * 2**20  # as runtime.keep_freed_memory sets it
PAGE, ALIGNMENT, HEADER = 4096, 16, 8
TORCH_ALIGNMENT = 64  # c10/core/alignment.h; posix_memalign takes that much more
CUDA_BLOCK = 512  # c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize

Event = tuple[int, int]
"""(block, bytes): positive when it comes, negative when it goes."""


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context that records the allocation and release of every storage. flops: of the operations that torch can count.

    unfolds_bf16: convolutions in bf16 unfold their input, as on a processor without bf16 instructions.
    """

    def __init__(self, *, unfolds_bf16: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unfolds_bf16 = unfolds_bf16
        self.events: list[Event] = []
        self.flops = 0
        self._live: dict[int, Event] = {}

    @property
    def live_bytes(self) -> int:
        """Bytes of all tensors that are alive."""
        return sum(size for _, size in self._live.values())

    def take(self, num_bytes: int) -> Event:
        """Allocation of a block that is no tensor, such as a file in memory; release it with `give_back`."""
        event = len(self.events), num_bytes
        self.events.append(event)
        return event

    def give_back(self, *events: Event) -> None:
        """Release of blocks."""
        self.events += [(block, -size) for block, size in events]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count:
            # Not FlopCounterMode, which keeps tensors alive that checkpointing recomputes.
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._see(leaf.untyped_storage())
        if self.unfolds_bf16:
            self.give_back(self.take(_unfolded_bytes(func, args, result)))
        return result

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._live:
            self._live[key] = self.take(storage.nbytes())
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.give_back(self._live.pop(key))


def _unfolded_bytes(func: Any, args: Any, result: Any) -> int:
    """Bytes of the unfolded batch in torch's own convolution (aten/src/ATen/native/ConvolutionMM2d.cpp)."""
    if func is torch.ops.aten.convolution.default:
        images, weight, answer, (stride, padding) = args[0], args[1], result, args[3:5]
    elif func is torch.ops.aten.convolution_backward.default:
        images, weight, answer, (stride, padding) = args[1], args[2], args[0], args[4:6]
    else:
        return 0
    is_one_by_one = all(k == 1 for k in weight.shape[2:]) and all(s == 1 for s in stride) and not any(padding)
    if images.dtype != torch.bfloat16 or is_one_by_one:
        return 0
    # A row per output position; a grouped convolution unfolds one group at a time.
    num_bytes: int = weight[0].numel() * answer.shape[0] * answer.shape[2:].numel() * images.dtype.itemsize
    return num_bytes


def exact_peak(events: Iterable[Event], *, block_bytes: int = 1) -> int:
    """Peak of live bytes, with each block rounded up to `block_bytes`."""
    now = peak = 0
    for _, size in events:
        rounded = _up(abs(size), block_bytes)
        now += rounded if size > 0 else -rounded
        peak = max(peak, now)
    return peak


def heap_peak(events: Iterable[Event]) -> int:
    """Peak size of a process's heap that allocates and frees these blocks."""
    heap = _Heap()
    peak = 0
    for block, size in events:
        if size >= 0:
            heap.take(block, size)
        else:
            heap.give_back(block, -size)
        peak = max(peak, heap.top + heap.mapped)
    return peak


class _Heap:
    """Model of malloc's large bins: best fit with merging of neighbours. The top is never returned to the system."""

    def __init__(self) -> None:
        self.top = self.mapped = 0
        self._holes: list[tuple[int, int]] = []
        self._place: dict[int, tuple[int, int]] = {}

    def take(self, block: int, size: int) -> None:
        if size >= MAPPED_BYTES:
            self.mapped += _up(size + TORCH_ALIGNMENT, PAGE)
            return
        needed = _up(size + TORCH_ALIGNMENT + HEADER, ALIGNMENT)
        fitting = [(length, start) for start, length in self._holes if length >= needed]
        if fitting:
            length, start = min(fitting)
            place = bisect.bisect_left(self._holes, (start, length))
            self._holes[place : place + 1] = [(start + needed, length - needed)] if length > needed else []
        else:
            start = self.top
            if self._holes and sum(self._holes[-1]) == self.top:
                start, _ = self._holes.pop()
            self.top = start + needed
        self._place[block] = start, needed

    def give_back(self, block: int, size: int) -> None:
        if size >= MAPPED_BYTES:
            self.mapped -= _up(size + TORCH_ALIGNMENT, PAGE)
            return
        start, length = self._place.pop(block)
        place = bisect.bisect_left(self._holes, (start, length))
        if place < len(self._holes) and self._holes[place][0] == start + length:
            length += self._holes.pop(place)[1]
        if place and sum(self._holes[place - 1]) == start:
            place -= 1
            before = self._holes.pop(place)
            start, length = before[0], before[1] + length
        self._holes.insert(place, (start, length))


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
