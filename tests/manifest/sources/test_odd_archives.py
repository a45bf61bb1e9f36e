"""Archives that hold something else than they seem to: it is said, and never called nothing."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.manifest import build_index
from obverse.recipe import DataSpec


@pytest.fixture
def files(tree: Callable[[Iterable[str]], Path], files_of: Callable[[Path], dict[str, bytes]]) -> dict[str, bytes]:
    return files_of(tree([f"{label}/{n}.png" for label in ("cat", "dog") for n in range(4)]))


def test_of_two_members_of_one_name_the_last_is_read_and_it_is_said(tmp_path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns, too
        opened.writestr("cat/0.png", b"no picture")
        for name, data in files.items():
            opened.writestr(name, data)
    index = build_index(tmp_path / "x.zip", DataSpec())
    (found,) = [finding for finding in index.findings if finding.code == "archive-repeated"]
    assert (found.severity, found.paths) == ("warning", ("cat/0.png",))
    assert len(index.manifest.samples) == 8


def test_a_zip_of_absolute_names_is_not_called_empty(tmp_path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        for name, data in files.items():
            opened.writestr(f"/data/{name}", data)
    with pytest.raises(DataError, match=r"8 member\(s\) of the archive are not read: its name leads out"):
        build_index(tmp_path / "x.zip", DataSpec())


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
def test_zeros_are_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(20_480))
    with pytest.raises(DataError, match=r"is no zip or tar archive, or it holds nothing"):
        build_index(tmp_path / name, DataSpec())
