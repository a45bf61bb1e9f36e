"""Photographic JPEGs for benchmarks, since no set of large photographs may be shipped.

Smooth noise at several octaves (its spectrum falls as that of photographs does), a fine texture, edges of a few shapes;
quality 92, 4:2:0. Bytes per pixel as in real files, because they decide how long decoding takes: 0.23 at 6000x3000
(photographs of a 12-megapixel phone have 0.19 to 0.24), 0.27 at 512x384 (TrashNet: median 0.26).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw


@lru_cache(maxsize=2)
def _texture(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Computed once per size: large pictures take seconds."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    # The amplitude of an octave over the next finer one.
    fall = 1.45 if height * width < 2**20 else 1.27
    octave = 0
    while max(height, width) >> octave > 2:
        shape = max(2, height >> octave), max(2, width >> octave)
        gray, *color = (
            Image.fromarray(rng.normal(size=shape).astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
            for _ in range(4)
        )
        for channel in range(3):
            total[..., channel] += (np.asarray(gray) + 0.3 * np.asarray(color[channel])) * fall**octave
        octave += 1
    return (128 + 50 * total / total.std()).clip(0, 255).astype(np.uint8)


def photograph(height: int, width: int, seed: int) -> Image.Image:
    """One picture: the texture, moved, with other shapes on it."""
    rng = np.random.default_rng(seed)
    moved = np.roll(_texture(height, width), rng.integers(0, (height, width)), (0, 1))
    image = Image.fromarray(np.ascontiguousarray(moved[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        y, x, r = rng.integers(0, height), rng.integers(0, width), rng.integers(height // 40 + 1, height // 8 + 2)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def write_photographs(folder: Path, count: int, height: int, width: int, *, classes: int = 2, first: int = 0) -> Path:
    """folder/<class>/N.jpg, N from `first` on; what is there already is kept."""
    for number in range(first, first + count):
        path = folder / f"class{number % classes}" / f"{number:04}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            photograph(height, width, number).save(path, quality=92, subsampling="4:2:0")
    return folder
