"""Free and peak memory of a device."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def available_memory(device: torch.device, *, cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """Free bytes on `device`, on a CPU within the container's limit; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    free = [_of_machine(meminfo), _of_container(cgroup)]
    limits = [value for value in free if value is not None]
    return min(limits) if limits else None


def peak_memory(device: torch.device) -> int | None:
    """Peak memory of this process in bytes; None where the system does not say.

    On a GPU: what torch reserved there. Elsewhere: the resident set, libraries included.
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
    """Bytes left under the limit of cgroup v2, where `max` means no limit."""
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit != "max" else None
