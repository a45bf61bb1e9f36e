"""Picture store: reader of pictures by locator, used by verification, training, evaluation and prediction alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import MAX_BYTES, Part, PictureError, Pixels, Sandbox, content_digest, decode_picture, open_picture

from .archive import open_archive
from .blob import Blob, FileBlob, read_all
from .cifar import open_cifar, read_cifar
from .locator import PARTS, Step, parse_locator
from .parquet import open_parquet, read_cell
from .remote import RemoteBlob, remote_url

UNREADABLE = "cannot be read"


@dataclass(frozen=True)
class StoredPicture:
    """The stored bytes of a picture, not yet decoded."""

    data: bytes
    """Content of the picture's file."""

    part: Part | None = None
    """The part of the picture that is meant; None for the whole."""

    def digest(self) -> str:
        """The content digest; parts of the same file have different ones."""
        return content_digest(self.data if self.part is None else self.data + self.part.step[1].encode())

    def upright_size(self) -> tuple[int, int]:
        """(height, width) from the header; PictureError when it is no picture within the limits."""
        height, width = open_picture(self.data)[1].upright_size
        return (height, width) if self.part is None else self.part.size(height, width)

    def decode(self, *, min_height: int = 0, min_width: int = 0, sandbox: Sandbox | None = None) -> Pixels:
        """Upright RGB pixels; see `imaging.decode_picture`.

        min_height, min_width: least size in pixels; 0 decodes at full size.
        sandbox: pool of processes to decode in, for unverified bytes; None decodes in this process.

        PictureError when it is no usable picture.
        """
        decode = decode_picture if sandbox is None else sandbox.decode
        if self.part is None:
            return decode(self.data, min_height=min_height, min_width=min_width)
        min_height, min_width = self.part.enlarged(min_height, min_width)
        return self.part.of(decode(self.data, min_height=min_height, min_width=min_width))


@dataclass(frozen=True)
class PictureStore:
    """Reader of locators (`locator.py`) relative to `root`. It keeps no file open; threads and workers may share it."""

    root: Path

    def read(self, locator: str) -> StoredPicture:
        """The picture's bytes; PictureError, without the locator in its message, when they cannot be read."""
        name, steps = parse_locator(locator)
        part = None
        if steps and steps[-1][0] in PARTS:
            part, steps = Part.parse(*steps[-1]), steps[:-1]
        try:
            return StoredPicture(self._read(name, steps), part)
        except (OSError, ValueError) as error:  # a DataError is a ValueError; so is a name with a zero byte
            reason = error if isinstance(error, DataError) else f"{UNREADABLE}: {_reason(error)}"
            raise PictureError(str(reason)) from None

    def decode(
        self,
        locator: str,
        *,
        min_height: int = 0,
        min_width: int = 0,
        sandbox: Sandbox | None = None,
        require: Callable[[StoredPicture], None] = lambda picture: None,
    ) -> Pixels:
        """Upright RGB pixels of the picture at `locator`; see `StoredPicture.decode`.

        require: check of the stored bytes before decoding, which may raise PictureError.

        PictureError, naming the locator, when the picture cannot be read or decoded.
        """
        try:
            picture = self.read(locator)
            require(picture)
            return picture.decode(min_height=min_height, min_width=min_width, sandbox=sandbox)
        except PictureError as error:
            reason = str(error) if str(error).startswith(UNREADABLE) else f"is unusable: {error}"
            raise PictureError(f"{os.path.join(self.root, locator)!r} {reason}") from None

    def open(self, locators: Iterable[str]) -> None:
        """Open every container among `locators` now, so that forked workers inherit its index.

        A container that cannot be opened raises later, in `read`, where a single picture is named.
        """
        for name, steps in {_without_place(locator) for locator in locators if "::" in locator}:
            with suppress(OSError, ValueError):
                self._open(name, steps)

    def stamp(self, locator: str) -> str:
        """Size and modification time of the file that contains the picture: cheap detection of changes.

        `remote` for a remote file, `missing` for one that does not exist.
        """
        name, _ = parse_locator(locator)
        if remote_url(name) or remote_url(self.root):
            return "remote"  # asking would take one request per picture
        try:
            status = os.stat(os.path.join(self.root, name))
        except (OSError, ValueError):
            return "missing"
        return f"{status.st_size} {status.st_mtime_ns}"

    def file(self, locator: str) -> Blob:
        """The file or archive member at `locator`; DataError or OSError when there is none."""
        return self._open(*parse_locator(locator))

    def _blob(self, name: str) -> Blob:
        url = remote_url(name)
        root = None if url or os.path.isabs(name) else remote_url(self.root)
        if root:
            url = f"{root}{'' if root.endswith('/') else '/'}{name}"
        return RemoteBlob.of(url) if url else FileBlob.of(os.path.join(self.root, name))

    def _open(self, name: str, steps: tuple[Step, ...]) -> Blob:
        """The file or archive member that the last step leads into."""
        blob = self._blob(name)
        if steps and steps[0][0] == "member":
            archive = open_archive(blob)
            blob, steps = (archive.blob(steps[0][1]) if steps[0][1] else blob), steps[1:]
        if steps:
            {"row": open_parquet, "cifar": open_cifar}.get(steps[0][0], _no_step)(blob)
        return blob

    def _read(self, name: str, steps: tuple[Step, ...]) -> bytes:
        blob = self._open(name, steps)
        last, value = steps[-1] if steps else ("member", "")
        if len(steps) > 2 or (len(steps) == 2 and steps[0][0] != "member"):
            raise DataError(f"no picture is found by {' then '.join(kind for kind, _ in steps)}")
        if last == "cifar":
            return read_cifar(blob, value)
        return self._cell(blob, value) if last == "row" else read_all(blob, max_bytes=MAX_BYTES)

    def _cell(self, blob: Blob, step: str) -> bytes:
        """The bytes of a picture in a table's cell; a row without bytes may name a file instead."""
        value = read_cell(blob, step)
        if isinstance(value, dict):
            value = value["bytes"] if value["bytes"] is not None else value["path"]
        if isinstance(value, str):
            return read_all(self._blob(value), max_bytes=MAX_BYTES)
        if not isinstance(value, bytes):
            raise DataError(f"row {step} of {blob.title} holds no picture")
        return value


def _without_place(locator: str) -> tuple[str, tuple[Step, ...]]:
    """Container of a picture, as file name and steps, equal for all pictures in it.

    The value of the last step is removed. A member is kept only if a further step leads into it.
    """
    name, steps = parse_locator(locator)
    steps = tuple(step for step in steps if step[0] not in PARTS)
    return name, (*steps[:-1], *((kind, "") for kind, _ in steps[-1:]))


def _no_step(blob: Blob) -> None:
    raise DataError(f"no such step into {blob.title}")


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
