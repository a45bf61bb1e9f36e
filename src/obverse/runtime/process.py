"""This process: its rank, device and threads."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

import torch

from obverse.errors import RecipeError, UnavailableError

# malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3


@dataclass(frozen=True)
class Process:
    """rank 0 of world_size 1 unless a launcher such as torchrun says otherwise."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0


def resolve_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; UnavailableError when it is not there."""
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RecipeError(f"device `{name}` is unknown; use auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise UnavailableError(f"device `{name}` is not there: torch sees {count} CUDA device(s); "
                                   "use --device cpu, or run `obverse doctor`")  # fmt: skip
    if device.type == "mps" and not has_mps:
        raise UnavailableError("device `mps` is not there; use --device cpu")
    return device


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks of up to 32 MiB instead of returning them to the system after every step.

    Each training step frees and takes the same activations; handing the pages back and forth costs about a sixth of
    the time of a small network on a CPU. Elsewhere than on glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def num_usable_cpus() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
