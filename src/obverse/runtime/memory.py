"""How much memory there is to train in."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def available_memory(device: torch.device, *, cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """Bytes that are free on `device`; on a processor also within this container's limit. None where nothing says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    free = [_of_machine(meminfo), _of_container(cgroup)]
    known = [value for value in free if value is not None]
    return min(known) if known else None


def peak_memory(device: torch.device) -> int | None:
    """Bytes that this process has held at most: on a GPU what torch took there, else everything, libraries included.

    None where the system does not say.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    try:
        import resource
    except ImportError:
        return None
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    kilobytes = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((int(value) * 1024 for value in kilobytes), None)


def _of_container(cgroup: Path) -> int | None:
    """cgroup v2; `max` is no limit."""
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit != "max" else None
