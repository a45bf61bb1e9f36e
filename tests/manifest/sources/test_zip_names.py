"""A zip's members by the names that its packer meant, and zips that are made to do harm."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.manifest import PictureStore, build_index, read_source
from obverse.manifest.store import archive as archives
from obverse.recipe import DataSpec

Files = Callable[[Path], dict[str, bytes]]
Tree = Callable[[Iterable[str]], Path]
CLASSES = ("猫", "表犬")  # in Shift-JIS, the second character's last byte is a backslash


class RawName(zipfile.ZipInfo):
    """A member whose name is written as these bytes, without the UTF-8 flag."""

    raw: bytes

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, self.flag_bits & ~0x800


def write_zip(
    path: Path, files: Mapping[str, bytes], encoding: str, *, system: int = 0, stated: bool = False, slash: str = "/"
) -> Path:
    """stated: with the Unicode path field. system: 0 is Windows, 3 is Unix."""
    with zipfile.ZipFile(path, "w") as opened:
        for name, data in files.items():
            info = RawName(name)
            info.raw, info.create_system = name.replace("/", slash).encode(encoding), system
            if stated:
                body = b"\1" + struct.pack("<I", zlib.crc32(info.raw)) + name.encode()
                info.extra = struct.pack("<HH", 0x7075, len(body)) + body
            opened.writestr(info, data)
    return path


@pytest.fixture
def files(tree: Tree, files_of: Files) -> dict[str, bytes]:
    return files_of(tree([f"{label}/{n}.png" for label in CLASSES for n in range(4)]))


@pytest.mark.parametrize("encoding", ["gb18030", "cp932"])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_a_code_page_that_the_user_says(tmp_path: Path, files: dict[str, bytes], encoding: str, slash: str) -> None:
    path = write_zip(tmp_path / "x.zip", files, encoding, slash=slash)
    index = build_index(path, DataSpec(archive_encoding=encoding))
    assert index.manifest.classes == tuple(sorted(CLASSES))
    assert not [finding for finding in index.findings if finding.code == "archive-encoding"]
    # A manifest's locator finds its member without being told the code page.
    store = PictureStore(tmp_path)
    for sample in index.manifest.samples:
        name = sample.views["image"].partition("member=")[2]
        assert store.read(sample.views["image"]).data == files[name]


def test_a_code_page_that_nobody_says_is_warned_of(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "x.zip", files, "gb18030")
    (found,) = [finding for finding in build_index(path, DataSpec()).findings if finding.code == "archive-encoding"]
    assert found.severity == "warning"
    assert "8 name(s)" in found.message
    assert "'猫/0.png' in gb18030" in found.message
    assert "data.archive_encoding" in found.message
    with pytest.raises(DataError, match=r"names that are not in utf-8.*data\.archive_encoding to one of"):
        build_index(path, DataSpec(archive_encoding="utf-8"))


@pytest.mark.parametrize(("encoding", "stated"), [("utf-8", False), ("cp932", True), ("gb18030", True)])
def test_names_that_are_utf8_or_stated(tmp_path: Path, files: dict[str, bytes], encoding: str, stated: bool) -> None:
    path = write_zip(tmp_path / "x.zip", files, encoding, stated=stated)
    index = build_index(path, DataSpec())
    assert index.manifest.classes == tuple(sorted(CLASSES))
    assert not [finding for finding in index.findings if finding.code == "archive-encoding"]


@pytest.mark.parametrize("system", [0, 3])
def test_backslashes_part_folders(tmp_path: Path, tree: Tree, files_of: Files, system: int) -> None:
    files = files_of(tree([f"pets/{label}/{n}.png" for label in ("cat", "dog") for n in range(4)]))
    path = write_zip(tmp_path / "x.zip", files, "utf-8", system=system, slash="\\")
    assert {sample.label for sample in read_source(path, DataSpec()).samples} == {"cat", "dog"}
    assert build_index(path, DataSpec()).manifest.classes == ("cat", "dog")


def test_a_backslash_in_a_unix_name_is_one(tmp_path: Path, tree: Tree, files_of: Files) -> None:
    files = files_of(tree([f"{label}/{n}.png" for label in ("a\\b", "c") for n in range(4)]))
    path = write_zip(tmp_path / "x.zip", files, "utf-8", system=3)
    assert build_index(path, DataSpec()).manifest.classes == ("a\\b", "c")


def test_a_name_that_leads_out_by_backslashes_is_left_out(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "x.zip", {**files, "../x/1.png": b"x"}, "utf-8", slash="\\")
    (found,) = [finding for finding in build_index(path, DataSpec()).findings if finding.code == "archive-member"]
    assert found.paths == ("../x/1.png",)


def test_members_that_overlap_are_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "x.zip", files, "utf-8")
    data = bytearray(path.read_bytes())
    # Every entry of the directory is sent to the first member's place.
    place = data.index(b"PK\1\2")
    while place >= 0:
        data[place + 42 : place + 46] = bytes(4)
        place = data.find(b"PK\1\2", place + 4)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"members that overlap, .*looks made to do harm"):
        build_index(path, DataSpec())


def test_a_zip_that_unpacks_to_far_more_is_refused(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data + bytes(2**20))
    assert len(build_index(path, DataSpec()).manifest.samples) == 8
    archives.open_archive.cache_clear()
    monkeypatch.setattr(archives, "FREE_BYTES", 2**20)
    with pytest.raises(DataError, match=r"unpacks to more than .* it looks made to do harm"):
        build_index(path, DataSpec())


def test_an_encoding_has_no_place_without_an_archive(tree: Tree) -> None:
    folder = tree([f"{label}/{n}.png" for label in CLASSES for n in range(4)])
    with pytest.raises(DataError, match=r"data\.archive_encoding is for archives"):
        read_source(folder, DataSpec(archive_encoding="cp932"))
