"""Members of zip and tar are read as they are, and a damaged or hostile archive is one sentence."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.imaging import PictureError
from obverse.manifest import PictureStore
from obverse.manifest.store.archive import open_archive
from obverse.manifest.store.blob import FileBlob

Pack = Callable[[Path, Mapping[str, bytes]], Path]
MEMBERS = {f"{label}/{n}.png": f"{label}{n}".encode() * (n * 300 + 1) for label in "ab" for n in range(20)}
KINDS = ["x.zip", "x.deflated.zip", "x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz"]


def locator(archive: Path, member: str) -> str:
    return f"{archive.name}::member={member}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_read_by_threads_and_by_forked_processes(pack: Pack, tmp_path: Path, kind: str) -> None:
    archive = pack(tmp_path / kind, MEMBERS)
    store = PictureStore(tmp_path)
    store.open([locator(archive, name) for name in MEMBERS])

    def is_right(name: str) -> bool:
        return store.read(locator(archive, name)).data == MEMBERS[name]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_right, [*MEMBERS] * 3))
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if all(map(is_right, [*MEMBERS] * 5)) else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


def test_a_compressed_tar_is_unpacked_once_for_all_workers(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, store = pack(tmp_path / "x.tar.gz", MEMBERS), PictureStore(tmp_path)
    store.open([locator(archive, "a/1.png")])
    monkeypatch.setattr("obverse.manifest.store.archive._Spooled", None)
    assert store.read(locator(archive, "b/2.png")).data == MEMBERS["b/2.png"]
    assert list(tmp_path.iterdir()) == [archive]


def test_normal_names_find_members(pack: Pack, tmp_path: Path) -> None:
    archive = open_archive(FileBlob.of(str(pack(tmp_path / "x.tar", {"./cat//1.png": b"1", "dog/2.png": b"2"}))))
    assert sorted(archive.members) == ["cat/1.png", "dog/2.png"]
    assert archive.blob("cat/1.png").read_at(0, 9) == b"1"


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
def test_names_that_lead_out_are_left_out(pack: Pack, tmp_path: Path, kind: str) -> None:
    names = ["../x.png", "/etc/x.png", "a/../../x.png", "a/x..png"]
    archive = open_archive(FileBlob.of(str(pack(tmp_path / kind, dict.fromkeys(names, b"x")))))
    assert list(archive.members) == ["a/x..png"]
    assert set(archive.left_out) == set(names[:3])


def test_an_archive_that_was_written_again_is_read_again(pack: Pack, tmp_path: Path) -> None:
    archive, store = pack(tmp_path / "x.zip", {"a.png": b"old"}), PictureStore(tmp_path)
    assert store.read(locator(archive, "a.png")).data == b"old"
    pack(archive, {"b.png": b"other", "a.png": b"new one"})
    assert store.read(locator(archive, "a.png")).data == b"new one"


def test_links_in_a_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (("a.png", tarfile.REGTYPE), ("hard.png", tarfile.LNKTYPE), ("soft.png", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "" if kind == tarfile.REGTYPE else "a.png"
            info.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"abc"))
    found = open_archive(FileBlob.of(str(tmp_path / "x.tar")))
    assert found.blob("hard.png").read_at(0, 3) == b"abc"
    assert found.left_out == {"soft.png": "it is a link or a special file"}


def test_an_encrypted_zip(pack: Pack, tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"a.png": b"abc"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(PictureError, match="encrypted"):
        PictureStore(tmp_path).read(locator(path, "a.png"))


def test_another_compression(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.png", b"abc" * 99)
    with pytest.raises(PictureError, match="neither `stored` nor `deflate`"):
        PictureStore(tmp_path).read("x.zip::member=a.png")


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_archive_is_refused(pack: Pack, tmp_path: Path, kind: str) -> None:
    path = pack(tmp_path / kind, MEMBERS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"no zip or tar archive, or it is damaged or cut short|cut short"):
        open_archive(FileBlob.of(str(path)))


@pytest.mark.parametrize("kind", ["x.zip", "x.deflated.zip"])
def test_a_flipped_byte_in_a_zip_is_found(pack: Pack, tmp_path: Path, kind: str) -> None:
    path = pack(tmp_path / kind, MEMBERS)
    data = bytearray(path.read_bytes())
    data[data.index(b"a/1.png") + 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(PictureError, match="damaged"):
        PictureStore(tmp_path).read(locator(path, "a/1.png"))


def test_a_member_that_unpacks_to_more_than_it_says(pack: Pack, tmp_path: Path) -> None:
    path = pack(tmp_path / "x.deflated.zip", {"a.png": bytes(10**6)})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(PictureError, match="damaged"):
        PictureStore(tmp_path).read(locator(path, "a.png"))


def test_a_compressed_tar_that_would_fill_the_disk(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obverse.manifest.store.archive.FREE_BYTES", 1000)
    path = pack(tmp_path / "x.tar.gz", {"a.png": bytes(10**6)})
    with pytest.raises(DataError, match="made to do harm"):
        open_archive(FileBlob.of(str(path)))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04", b"\x1f\x8b\x08garbage", b"x" * 2000])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip"):
        open_archive(FileBlob.of(str(tmp_path / "x.zip")))


def test_a_member_or_an_archive_that_is_not_there(pack: Pack, tmp_path: Path) -> None:
    path, store = pack(tmp_path / "x.zip", MEMBERS), PictureStore(tmp_path)
    with pytest.raises(PictureError, match=r"'a/99\.png' in the archive cannot be read: it is not there"):
        store.read(locator(path, "a/99.png"))
    with pytest.raises(PictureError, match="No such file"):
        store.read("y.zip::member=a/1.png")
