"""Blobs: random access to the bytes of a file, a remote file or a decompressed stream.

A local file is opened for every read. So no file offset is shared between threads or forked workers, and every blob can
be pickled and compared. A file's identity includes its size and modification time, so that cached facts about it become
invalid when it changes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from obverse.errors import DataError
from obverse.files import open_regular, regular_status


class Blob(Hashable, Protocol):
    """Readable bytes; hashable, so that facts about them can be cached."""

    @property
    def title(self) -> str:
        """A name for messages."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def read_at(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length); fewer at the end. DataError when they cannot be read."""


@dataclass(frozen=True)
class FileBlob:
    """A local file."""

    path: str

    size: int
    """Number of bytes."""

    changed_ns: int
    """Modification time in nanoseconds."""

    @classmethod
    def of(cls, path: str) -> FileBlob:
        """The regular file at `path`; OSError when there is none."""
        status = regular_status(path)
        return cls(path, status.st_size, status.st_mtime_ns)

    @property
    def title(self) -> str:
        """The path, for messages."""
        return repr(self.path)

    def read_at(self, start: int, length: int) -> bytes:
        """The bytes [start, start + length)."""
        with open_regular(self.path) as file:
            file.seek(start)
            parts = []
            while length > 0 and (part := file.read(length)):
                parts.append(part)
                length -= len(part)
        return b"".join(parts)


class BlobFile(io.RawIOBase):
    """Adapter of a blob to a seekable binary file; it keeps no file open."""

    def __init__(self, blob: Blob) -> None:
        self.blob, self.place = blob, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As files do."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.blob.size}[whence]
        self.place = max(0, base + offset)
        return self.place

    def tell(self) -> int:
        """As files do."""
        return self.place

    def readinto(self, buffer: Any) -> int:
        """As files do."""
        length = min(len(buffer), max(0, self.blob.size - self.place))
        data = self.blob.read_at(self.place, length) if length else b""
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


def read_all(blob: Blob, *, max_bytes: int) -> bytes:
    """All bytes of a blob; DataError when there are more than `max_bytes` or fewer than `blob.size`."""
    if blob.size > max_bytes:
        raise DataError(f"{blob.title} has {blob.size:,} bytes, more than the limit of {max_bytes:,}")
    data = blob.read_at(0, blob.size) if blob.size else b""
    if len(data) < blob.size:
        raise DataError(f"{blob.title} is cut short")
    return data
