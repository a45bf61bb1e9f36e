"""How many processors this process may use: its affinity, its container's quota, and what the environment says.

Without torch, because pictures are verified before it is loaded.
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


def num_usable_cpus(environment: Mapping[str, str] = os.environ) -> int:
    """Processors for the computations of this process: its share of this machine's, and at most OMP_NUM_THREADS."""
    share = num_allowed_cpus() // launched(environment).local_world_size
    wanted = _omp_threads(environment)
    return max(1, share if wanted is None else min(share, wanted))


def num_allowed_cpus() -> int:
    """Processors that all processes of this container together may use: affinity and quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    # A thread more than whole processors would be stopped in the middle of a step, and all others wait for it.
    return max(1, count if quota is None else min(count, int(quota)))


def _omp_threads(environment: Mapping[str, str]) -> int | None:
    """OMP_NUM_THREADS, of which a list is per nesting level; None where it says nothing or is no number above 0."""
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    threads = int(first) if first.isdecimal() and len(first) < 10 else 0
    # torchrun sets 1 for several processes where the user has set nothing: a default against too many, not a wish.
    is_default = threads == 1 and "TORCHELASTIC_RUN_ID" in environment and launched(environment).local_world_size > 1
    return None if threads < 1 or is_default else threads


def cgroup_quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processors that the control groups of this process allow, the least of all levels; None without a limit."""
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
    """Of the group and all above it. In a container the group's path may not exist: its own is then the root."""
    group = PurePosixPath(path.lstrip("/"))
    if ".." in group.parts:
        group = PurePosixPath()
    for folder in (group, *group.parents):
        quota = read(root / folder)
        if quota is not None:
            yield quota


def _quota_v2(folder: Path) -> float | None:
    """`max 100000` or `150000 100000`."""
    for line in _lines(folder / "cpu.max")[:1]:
        quota, _, period = line.partition(" ")
        return _ratio(quota, period or str(PERIOD))
    return None


def _quota_v1(folder: Path) -> float | None:
    """-1 is no limit."""
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
