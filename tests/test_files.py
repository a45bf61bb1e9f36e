"""A file that a user names is looked at before it is opened: nothing waits for a pipe or reads a device without end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from obverse.errors import DataError
from obverse.export.pth import load_safely
from obverse.files import open_regular, read_regular, read_text, regular_status, write_whole, written_aside
from obverse.imaging import PictureError, read_picture
from obverse.manifest import PictureStore, is_prepared, read_manifest
from obverse.manifest.store import read_all
from obverse.models.weights.weight_files import read_weights

LIMIT = 1000


@pytest.fixture(params=["fifo", "zero", "socket", "link to zero"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A path that is no ordinary file."""
    path = tmp_path / "x.csv"
    if request.param == "zero":
        yield Path("/dev/zero")
        return
    if request.param == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            here = os.getcwd()
            os.chdir(tmp_path)  # a socket's path is short
            try:
                opened.bind(path.name)
            finally:
                os.chdir(here)
            yield path
        return
    if request.param == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    yield path


def test_what_is_no_ordinary_file_is_never_opened(special: Path) -> None:
    for read in (regular_status, open_regular, lambda path: read_regular(path, max_bytes=LIMIT), read_text):
        with pytest.raises(OSError, match=r"it is a (pipe|device|socket), not an ordinary file"):
            read(special)


def test_every_reader_of_data_says_so(special: Path) -> None:
    with pytest.raises(PictureError, match="cannot be read: it is a "):
        read_picture(special)
    with pytest.raises(PictureError, match="cannot be read: it is a "):
        PictureStore(special.parent).read(special.name)
    with pytest.raises(DataError, match="it is a "):
        read_manifest(special, root=special.parent, classes=("a", "b"), views=("image",), ordered=False)
    assert not is_prepared(special)
    with pytest.raises(DataError, match="it is a "):
        read_weights(special)
    with pytest.raises(DataError, match="it is a "):
        load_safely(special)


def test_a_file_of_too_many_bytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(30 * 2**30)
    with pytest.raises(OSError, match=r"it has 32,212,254,720 bytes, more than the limit of 1,000"):
        read_regular(path, max_bytes=LIMIT)
    with pytest.raises(PictureError, match=r"32,212,254,720 bytes, more than the limit of 167,772,160"):
        read_picture(path)
    with pytest.raises(PictureError, match=r"32,212,254,720 bytes, more than the limit of 167,772,160"):
        PictureStore(tmp_path).read(path.name)


def test_an_ordinary_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("naïve\n".encode())
    assert read_regular(path, max_bytes=7) == path.read_bytes()
    assert read_text(path) == "naïve\n"
    assert read_all(PictureStore(tmp_path).file("a.txt"), max_bytes=7) == path.read_bytes()
    with pytest.raises(OSError, match="more than the limit of 6"):
        read_regular(path, max_bytes=6)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, max_bytes=6)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", max_bytes=6)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_is_written_aside_appears_whole_or_not_at_all(tmp_path, error):
    path = tmp_path / "file"
    write_whole(path, b"before")
    with pytest.raises(error):
        _begin_and_fail(path, error)
    assert path.read_bytes() == b"before"
    with written_aside(path) as aside:
        aside.write_bytes(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def _begin_and_fail(path, error):
    with written_aside(path) as aside:
        aside.write_bytes(b"half")
        raise error


def test_the_error_of_a_write_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x.html"
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(path, b"")
    assert caught.value.filename == str(path)
