"""How many processors a process takes: affinity, container quota, OMP_NUM_THREADS, launcher."""

import os
import subprocess
import sys

import pytest

from obverse import cpus
from obverse.cpus import cgroup_quota, num_allowed_cpus, num_usable_cpus

V2 = "0::/a/b\n"
V1 = "9:name=systemd:/\n4:memory:/m\n3:cpu,cpuacct:/a/b\n0::/\n"
TORCHRUN = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1",
            "TORCHELASTIC_RUN_ID": "none"}  # fmt: skip


@pytest.fixture
def quota_of(tmp_path):
    """The quota where `groups` is the content of /proc/self/cgroup and `files` lie under /sys/fs/cgroup."""

    def read(groups, files):
        root = tmp_path / "cgroup"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (tmp_path / "self").write_text(groups)
        return cgroup_quota(tmp_path / "self", root)

    return read


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many processors, of which a container may use `quota`."""

    def imitate(count, quota=None):
        monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)
        monkeypatch.setattr(cpus, "cgroup_quota", lambda: quota)

    return imitate


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (V2, {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        (V2, {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n"}, 4.0),
        (V2, {"a/b/cpu.max": "800000 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        (V2, {"a/b/cpu.max": "300000\n"}, 3.0),
        # The group's path is the host's, and in the container its own group is the root.
        (V2, {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../other\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {}, None),
        ("", {}, None),
        (V2, {"a/b/cpu.max": "nonsense\n"}, None),
        (V2, {"a/b/cpu.max": "100000 0\n"}, None),
        (V1, {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n"}, 2.5),
        (V1, {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 2.0),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        (V1, {"memory/m/cpu.cfs_quota_us": "100000\n", "memory/m/cpu.cfs_period_us": "100000\n"}, None),
    ],
)
def test_the_quota_of_a_container(quota_of, groups, files, expected):
    assert quota_of(groups, files) == expected


@pytest.mark.parametrize(
    ("quota", "environment", "expected"),
    [
        (None, {}, 16),
        (4.0, {}, 4),
        (3.9, {}, 3),
        (0.5, {}, 1),
        (64.0, {}, 16),
        (None, {"OMP_NUM_THREADS": "3"}, 3),
        (None, {"OMP_NUM_THREADS": "5,2"}, 5),
        (2.0, {"OMP_NUM_THREADS": "3"}, 2),
        (None, {"OMP_NUM_THREADS": "99"}, 16),
        (None, {"OMP_NUM_THREADS": "0"}, 16),
        (None, {"OMP_NUM_THREADS": "many"}, 16),
        (None, {"OMP_NUM_THREADS": "9" * 5000}, 16),
        (None, TORCHRUN, 8),
        (4.0, TORCHRUN, 2),
        (None, TORCHRUN | {"OMP_NUM_THREADS": "3"}, 3),
        # What torchrun sets itself where nobody did.
        (None, TORCHRUN | {"OMP_NUM_THREADS": "1"}, 8),
    ],
)
def test_the_least_of_all_limits_counts(machine, quota, environment, expected):
    machine(16, quota)
    assert num_usable_cpus(environment) == expected


def test_pictures_are_verified_with_what_the_container_has(machine):
    machine(16, 6.0)
    assert num_allowed_cpus() == 6


def test_affinity_and_omp_num_threads_of_a_real_process_without_torch():
    code = "import sys; from obverse.cpus import num_usable_cpus as n; print(n(), 'torch' in sys.modules)"
    for environment, expected in (({}, "1 False"), ({"OMP_NUM_THREADS": "1"}, "1 False")):
        one = {min(os.sched_getaffinity(0))} if not environment else os.sched_getaffinity(0)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | environment,
            preexec_fn=lambda cpus=one: os.sched_setaffinity(0, cpus),
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected, done.stderr
