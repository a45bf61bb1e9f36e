"""Content digests for exact duplicates, and thumbprints for near duplicates.

A thumbprint is the picture resized to 16x16 luminance and 4x4 of each chroma plane. Resizing and re-encoding hardly
change it, and `obverse.manifest.verify.copies.near` undoes the effect of a small crop. It holds grey levels, not bits
of a perceptual hash, because the threshold of a duplicate comes from distances between a set's own pictures.
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
    """Digest of bytes: BLAKE2b with 128 bits, as 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def joint_digest(digests: Iterable[str]) -> str:
    """One digest for an ordered list of digests."""
    return content_digest("\n".join(digests).encode())


def unit_interval(*parts: object) -> float:
    """Hash of the parts as a number in [0, 1), independent of process, order of files and PYTHONHASHSEED."""
    *salt, key = map(str, parts)
    return next(unit_intervals([key], *salt))


def unit_intervals(keys: Iterable[str], *salt: object) -> Iterator[float]:
    """Hashes in [0, 1): `unit_interval(*salt, key)` for every key."""
    before = "".join(f"{part}\x1f" for part in salt).encode("utf-8", "surrogateescape")
    for key in keys:
        data = before + key.encode("utf-8", "surrogateescape")
        yield int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") / 2**64


def thumbprint(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Thumbprint (PRINT_LENGTH,) of an upright YCbCr picture: luminance row by row, then blue and red chroma."""
    box = Image.Resampling.BOX if min(picture.size) >= 2 * PRINT_SIDE else Image.Resampling.BILINEAR
    small = picture.resize((PRINT_SIDE, PRINT_SIDE), box)
    luminance = np.asarray(small)[..., 0]
    chroma = np.asarray(small.reduce(PRINT_SIDE // CHROMA_SIDE))[..., 1:]
    return np.concatenate([luminance.ravel(), chroma[..., 0].ravel(), chroma[..., 1].ravel()])
