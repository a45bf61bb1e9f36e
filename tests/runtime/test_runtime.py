"""Seeds, shards and devices."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import torch

from obverse.cpus import num_usable_cpus
from obverse.errors import UnavailableError
from obverse.runtime import (
    choose_matmul,
    named_generator,
    named_uniforms,
    resolve_device,
    restore_torch_random_state,
    seed_torch,
    shard,
    torch_random_state,
)


def test_named_uniforms_depend_on_their_name_alone_and_are_uniform():
    assert named_uniforms(20, "a", 1) == named_uniforms(20, "a", 1)
    assert named_uniforms(20, "a", 1) != named_uniforms(20, "a", 2)
    values = np.array([named_uniforms(17, "u", i) for i in range(2000)])
    counts, _ = np.histogram(values, bins=10, range=(0, 1))
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(counts / values.size - 0.1).max() < 0.005
    assert np.abs(np.corrcoef(values.T) - np.eye(17)).max() < 0.1


def test_a_named_generator_is_the_same_in_every_process():
    code = "from obverse.runtime import named_generator as g; print(g('a', 1, 'x').random())"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert float(done.stdout) == named_generator("a", 1, "x").random()


def test_every_part_of_the_name_counts_and_parts_do_not_run_together():
    names = [("a", 1), ("a", 2), ("b", 1), ("a1",), ("a", 1, "")]
    assert len({named_generator(*name).random() for name in names}) == len(names)


def test_torch_s_state_is_restored_exactly():
    seed_torch(5)
    torch.randn(3)
    state = torch_random_state()
    expected = torch.randn(4)
    restore_torch_random_state(state)
    assert torch.equal(torch.randn(4), expected)


def test_the_seed_decides():
    seed_torch(5)
    first = torch.randn(4)
    seed_torch(5)
    assert torch.equal(torch.randn(4), first)


def test_pairs_are_dealt_in_turn_and_shares_are_filled_with_a_false_mask():
    assert shard([1, 2, 3, 4, 5], rank=0, world_size=2) == [(1, True), (2, True), (5, True)]
    assert shard([1, 2, 3, 4, 5], rank=1, world_size=2) == [(3, True), (4, True), (1, False)]
    assert shard([7], rank=1, world_size=2) == [(7, False)]
    assert shard([7, 8, 9], rank=0, world_size=1) == [(7, True), (8, True), (9, True)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("num", range(1, 20))
def test_dealing_loses_nothing_and_gives_every_rank_as_many_places(num, world_size):
    shares = [shard(range(num), rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sorted(index for share in shares for index, valid in share if valid) == list(range(num))
    assert {len(share) for share in shares} == {len(shares[0])}
    owners = {index: rank for rank, share in enumerate(shares) for index, valid in share if valid}
    assert all(owners[i] == owners[i + 1] for i in range(0, num - 1, 2))


def test_a_device_that_is_not_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnavailableError, match="torch sees 0 CUDA"):
        resolve_device("cuda:1")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UnavailableError, match="mps"):
        resolve_device("mps")
    assert resolve_device("auto").type == "cpu"


def test_measuring_matmul_leaves_the_setting_as_it_was():
    torch.set_float32_matmul_precision("high")
    assert choose_matmul(torch.device("cpu")) in ("highest", "medium")
    assert torch.get_float32_matmul_precision() == "high"


def test_there_is_a_processor():
    assert 1 <= num_usable_cpus() <= (os.cpu_count() or 1)


def test_the_random_state_of_a_gpu_that_is_gone_is_left_out(monkeypatch):
    restored = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda value, device: restored.update({device: value}))
    here, gone = torch.tensor([1]), torch.tensor([2])
    restore_torch_random_state({"cpu": torch.get_rng_state(), "cuda:0": here, "cuda:1": gone})
    assert restored == {0: here}


# Frees all but every thousandth of 100,000 blocks of 2 kB, so that the heap cannot shrink from its end.
HOLES = """
from pathlib import Path
from obverse.runtime import give_back_freed_memory, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

keep_freed_memory()
blocks = [bytearray(2000) for _ in range(100_000)]
full = resident()
blocks[:] = blocks[::1000]
kept = resident()
give_back_freed_memory()
print(full, kept, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told what to keep")
def test_freed_memory_is_kept_until_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    full, kept, after = (4096 * int(pages) for pages in done.stdout.split())
    assert full - kept < 20e6
    assert kept - after > 150e6
