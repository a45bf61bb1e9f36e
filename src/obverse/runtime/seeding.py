"""Randomness from names, not from state: (seed, epoch, sample id, view) always gives the same numbers.

NumPy's Philox is counter-based (Salmon et al. 2011), so a generator costs microseconds and never depends on which
worker, rank or order asked for it.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import torch


def named_generator(*parts: object) -> np.random.Generator:
    """A generator that depends on `parts` alone."""
    text = "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogateescape")
    key = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")
    return np.random.Generator(np.random.Philox(key=key))


def named_uniforms(count: int, *parts: object) -> list[float]:
    """`count` numbers in [0, 1) that depend on `parts` alone: BLAKE2b in counter mode, for a few draws per picture.

    Building a Philox generator costs ten times more than the handful of numbers that a picture needs.
    """
    text = "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogateescape")
    blocks = range(-(-count // 8))
    data = b"".join(hashlib.blake2b(text, salt=block.to_bytes(16, "big")).digest() for block in blocks)
    # The upper 53 bits, as every float64 generator does.
    return [(value >> 11) * 2.0**-53 for value in struct.unpack(f">{8 * len(blocks)}Q", data)[:count]]


def seed_torch(seed: int) -> None:
    """Seed torch's global generators, which dropout and initial weights use."""
    torch.manual_seed(seed)


def seed_torch_of_rank(seed: int, rank: int) -> None:
    """Every rank drops other places. Rank 0 goes on as the only process would, after its initial weights."""
    if rank:
        torch.manual_seed(int(named_generator("rank", seed, rank).integers(2**63)))


def torch_random_state() -> dict[str, torch.Tensor]:
    """The state of every torch generator in use, for a checkpoint."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda:{i}": torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())}
    return state


def restore_torch_random_state(state: dict[str, torch.Tensor]) -> None:
    """Undo to what `torch_random_state` returned; a GPU that is gone is left out."""
    torch.set_rng_state(state["cpu"])
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        if (value := state.get(f"cuda:{number}")) is not None:
            torch.cuda.set_rng_state(value, number)
