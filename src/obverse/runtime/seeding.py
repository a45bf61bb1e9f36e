"""Random numbers from names, not from state: (seed, epoch, sample id, view) always gives the same numbers.

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
    """`count` uniform numbers in [0, 1) that depend on `parts` alone, from BLAKE2b in counter mode.

    For a few draws per picture: building a Philox generator would cost ten times more than these.
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
    """Seed of dropout for one rank, so that ranks do not drop the same units.

    Rank 0 keeps the state that it has after drawing the initial weights, as a single process would.
    """
    if rank:
        torch.manual_seed(int(named_generator("rank", seed, rank).integers(2**63)))


def torch_random_state() -> dict[str, torch.Tensor]:
    """The state of every torch generator in use, for a checkpoint."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda:{i}": torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())}
    return state


def restore_torch_random_state(state: dict[str, torch.Tensor]) -> None:
    """Restore what `torch_random_state` returned; a GPU that no longer exists is ignored."""
    torch.set_rng_state(state["cpu"])
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        if (value := state.get(f"cuda:{number}")) is not None:
            torch.cuda.set_rng_state(value, number)
