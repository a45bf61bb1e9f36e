"""Small picture trees and archives: every file of a tree is another picture unless it is asked to be a copy."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from obverse.imaging import Sandbox

Tree = Callable[[Iterable[str]], Path]


def picture_bytes(name: str) -> bytes:
    seed = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Children start once for all tests."""
    with Sandbox(2) as running:
        yield running


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


def write_archive(path: Path, members: Mapping[str, bytes]) -> Path:
    """A zip or tar, as the suffix says; a zip called *.deflated.zip is compressed."""
    if path.suffix == ".zip":
        method = zipfile.ZIP_DEFLATED if ".deflated" in path.name else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else f"w:{path.suffix[1:]}") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def pack():
    return write_archive


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def files_of():
    return contents


@pytest.fixture
def picture():
    return picture_bytes
