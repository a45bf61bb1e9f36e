"""Digests of content: what makes two files the same picture, byte for byte or to the eye.

The thumbprint is for near duplicates: the picture squashed to 16x16 luminance and 4x4 of each chroma plane. Resizing
and re-encoding leave it almost as it was, and a small crop moves it in a way that `obverse.manifest.verify.copies.near`
undoes. It stays in grey levels, not in bits of a hash: distances among a set's own pictures give the threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

PRINT_SIDE = 16
CHROMA_SIDE = 4
PRINT_LENGTH = PRINT_SIDE**2 + 2 * CHROMA_SIDE**2


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


def thumbprint(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """(PRINT_LENGTH,) of an upright YCbCr picture: luminance row by row, then blue and red chroma."""
    box = Image.Resampling.BOX if min(picture.size) >= 2 * PRINT_SIDE else Image.Resampling.BILINEAR
    small = picture.resize((PRINT_SIDE, PRINT_SIDE), box)
    luminance = np.asarray(small)[..., 0]
    chroma = np.asarray(small.reduce(PRINT_SIDE // CHROMA_SIDE))[..., 1:]
    return np.concatenate([luminance.ravel(), chroma[..., 0].ravel(), chroma[..., 1].ravel()])
