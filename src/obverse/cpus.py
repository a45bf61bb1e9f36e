"""Number of processors this process may use, from its affinity, its container's quota and the environment.

Imports no torch, because pictures are verified before it is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from .launch import launched

# The CFS period in microseconds where a file names none (Documentation/scheduler/sched-bwc.rst).
PERIOD = 100_000
QuotaReader = Callable[[Path], float | None]


MAX_THREADS = 1024
"""More threads than any processor has; at many more, native libraries crash."""


def num_usable_cpus(environment: Mapping[str, str] = os.environ) -> int:
    """Number of compute threads of this process: its share of this machine's processors, at most OMP_NUM_THREADS."""
    share = num_allowed_cpus() // launched(environment).local_world_size
    wanted = _omp_threads(environment)
    return max(1, share if wanted is None else min(share, wanted))


def num_allowed_cpus() -> int:
    """Number of processors that all processes of this container share, from affinity and quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    # Rounded down: the CFS would throttle one thread too many in the middle of a step, and all others wait for it.
    return max(1, count if quota is None else min(count, int(quota)))


def _omp_threads(environment: Mapping[str, str]) -> int | None:
    """The first number in OMP_NUM_THREADS (a list is per nesting level); None where it is unset or not above 0."""
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = int(first) if first.isdecimal() and len(first) < 10 else 0
    # torchrun sets 1 for several processes where the user has set nothing: not the user's choice, so it is ignored.
    is_default = threads == 1 and "TORCHELASTIC_RUN_ID" in environment and launched(environment).local_world_size > 1
    return None if threads < 1 or is_default else threads


def cgroup_quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processor quota of the control groups of this process, the minimum over all levels; None without a limit."""
    quotas: list[float] = []
    for line in _lines(proc):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        # Version 2 is one hierarchy with the number 0 (docs.kernel.org/admin-guide/cgroup-v2.html).
        if number == "0" and not controllers:
            quotas += _quotas(root, path, _quota_v2)
            quotas += _quotas(root / "unified", path, _quota_v2)
        elif "cpu" in controllers.split(","):
            quotas += _quotas(root / "cpu", path, _quota_v1)
            quotas += _quotas(root / controllers, path, _quota_v1)
    return min(quotas, default=None)


def _quotas(root: Path, path: str, read: QuotaReader) -> Iterator[float]:
    """Quotas of a control group and its ancestors. In a container its path may not exist; then the root is its own."""
    group = PurePosixPath(path.lstrip("/"))
    if ".." in group.parts:
        group = PurePosixPath()
    for folder in (group, *group.parents):
        quota = read(root / folder)
        if quota is not None:
            yield quota


def _quota_v2(folder: Path) -> float | None:
    """Quota in `cpu.max`, which reads `max 100000` or `150000 100000` (quota and period in microseconds)."""
    for line in _lines(folder / "cpu.max")[:1]:
        quota, _, period = line.partition(" ")
        return _ratio(quota, period or str(PERIOD))
    return None


def _quota_v1(folder: Path) -> float | None:
    """Quota in `cpu.cfs_quota_us` and `cpu.cfs_period_us`, where -1 means no limit."""
    quota, period = (_lines(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return _ratio(quota[0], period[0]) if quota and period else None


def _ratio(quota: str, period: str) -> float | None:
    with suppress(ValueError):
        if int(quota) > 0 and int(period) > 0:
            return int(quota) / int(period)
    return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
