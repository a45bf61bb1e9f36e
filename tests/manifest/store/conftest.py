"""Archives of given members."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest


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
