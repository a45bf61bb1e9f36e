"""Digests of content: what makes two files the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator


def content_digest(data: bytes) -> str:
    """BLAKE2b, 128 bits, of a file's bytes, as 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def joint_digest(digests: Iterable[str]) -> str:
    """One digest for an ordered list of digests."""
    return content_digest("\n".join(digests).encode())


def unit_interval(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone: not on the process, the order of files or PYTHONHASHSEED."""
    *salt, key = map(str, parts)
    return next(unit_intervals([key], *salt))


def unit_intervals(keys: Iterable[str], *salt: object) -> Iterator[float]:
    """`unit_interval(*salt, key)` for every key."""
    before = "".join(f"{part}\x1f" for part in salt).encode("utf-8", "surrogateescape")
    for key in keys:
        data = before + key.encode("utf-8", "surrogateescape")
        yield int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") / 2**64
