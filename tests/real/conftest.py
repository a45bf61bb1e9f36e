"""Real data from the folder that the environment variable OBVERSE_REAL_DATA names; skipped where it is unset."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("OBVERSE_REAL_DATA")
    if not folder:
        pytest.skip("OBVERSE_REAL_DATA is not set: no real data to test on")
    return Path(folder)


@pytest.fixture
def unpacked(real_data: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Unpacks one archive into a temporary folder and returns the folder inside it."""

    def unpack(name: str) -> Path:
        with zipfile.ZipFile(real_data / f"{name}.zip") as archive:
            archive.extractall(tmp_path)
        return tmp_path / name

    return unpack
