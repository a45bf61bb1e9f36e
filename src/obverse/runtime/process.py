"""This process: its rank, collective calls with the other ranks, its device and its allocator."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from obverse.errors import RecipeError, UnavailableError
from obverse.launch import launched

from . import group

# Parameter numbers of mallopt(3), from malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
Value = TypeVar("Value")


@dataclass(frozen=True)
class Process:
    """Rank, world size and collective calls.

    Rank 0 of world size 1 unless a launcher such as torchrun started several processes. Collective calls: every rank
    must call the same methods in the same order. With one process they are no-ops.
    """

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is rank 0, which alone indexes the data, writes files and prints."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether the world size is 1."""
        return self.world_size == 1

    def rows(self, numbers: Sequence[float]) -> list[tuple[float, ...]]:
        """All-gather: the `numbers` of every rank, by rank, in float64."""
        if self.is_alone:
            return [tuple(numbers)]
        mine = torch.tensor(numbers, dtype=torch.float64)
        gathered = [torch.empty_like(mine) for _ in range(self.world_size)]
        dist.all_gather(gathered, mine)
        return [tuple(row.tolist()) for row in gathered]

    def totals(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """All-reduce: sums over ranks. They are added in the order of ranks, so every rank gets the same bits."""
        return tuple(map(sum, zip(*self.rows(numbers), strict=True)))

    def gather(self, value: Value) -> list[Value]:
        """Gather: the values of all ranks on the main process, by rank; an empty list on the others."""
        if self.is_alone:
            return [value]
        values: list[Any] | None = [None] * self.world_size if self.is_main else None
        dist.gather_object(value, values)
        return values or []

    def from_main(self, make: Callable[[], Value]) -> Value:
        """Broadcast of the value that `make` returns on the main process.

        The other ranks wait for it without a time limit; ElsewhereError when the main process fails.
        """
        if self.is_alone:
            return make()
        box: list[Any] = [make()] if self.is_main else [None]
        group.wait_for_main(is_main=self.is_main)
        dist.broadcast_object_list(box)
        value: Value = box[0]
        return value

    def barrier(self) -> None:
        """Barrier without a time limit; `torch.distributed.barrier` would give up after some minutes."""
        if not self.is_alone:
            group.barrier()


ALONE = Process()


def resolve_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; with several processes, each takes its own GPU.

    UnavailableError when the device does not exist.
    """
    has_mps = torch.backends.mps.is_available()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "mps" if has_mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RecipeError(f"device `{name}` is unknown; use auto, cpu, cuda, cuda:N or mps") from None
    if launched().world_size > 1:
        device = _device_of_rank(device, count)
    if device.type == "cuda" and (device.index or 0) >= count:
        raise UnavailableError(f"device `{name}` is not there: torch sees {count} CUDA device(s); "
                               "use --device cpu, or run `obverse doctor`")  # fmt: skip
    if device.type == "mps" and not has_mps:
        raise UnavailableError("device `mps` is not there; use --device cpu")
    return device


def _device_of_rank(device: torch.device, count: int) -> torch.device:
    launch = launched()
    if device.type == "mps" or device.index is not None:
        raise RecipeError(f"device `{device}` is one, and {launch.world_size} processes were started; use --device "
                          "cuda (each process takes its own) or --device cpu")  # fmt: skip
    if device.type != "cuda":
        return device
    if 0 < count < max(launch.local_world_size, launch.local_rank + 1):
        raise UnavailableError(f"{launch.local_world_size} processes were started on this machine, where torch sees "
                               f"{count} CUDA device(s), and each needs its own; start as many with "
                               f"torchrun --nproc-per-node {count}, or use --device cpu")  # fmt: skip
    return torch.device("cuda", launch.local_rank)


def keep_freed_memory() -> None:
    """Allocator setting: glibc keeps freed blocks of up to 32 MiB instead of returning them to the system.

    Each training step frees and allocates the same activations. Returning the pages and faulting them in again costs
    about a sixth of the time of a small network on a CPU. Without glibc this does nothing.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_freed_memory() -> None:
    """Return to the system what `keep_freed_memory` keeps, as before another kind of work. Only with glibc."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
