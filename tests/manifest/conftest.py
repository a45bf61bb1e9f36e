"""Small picture trees: every file of a tree is another picture unless it is asked to be a copy."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Tree = Callable[[Iterable[str]], Path]


def picture_bytes(name: str) -> bytes:
    seed = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes pictures (PNG bytes under any name) below tmp_path/data and returns that folder."""

    def make(names: Iterable[str]) -> Path:
        root = tmp_path / "data"
        root.mkdir(exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(picture_bytes(name))
        return root

    return make
