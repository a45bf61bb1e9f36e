"""Container file of many pictures, each with a key and a checksum, written once and then read-only.

    entries, one after the other
    index: key (16 bytes), offset, length, CRC-32 of each entry
    footer: magic, number of entries, offset of the index, CRC-32 of the index

It is renamed to its name when it is complete, so a reader never sees half of one. A truncated file has no valid footer.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

MAGIC = b"OBVPIX01"
ENTRY = np.dtype([("key", "V16"), ("offset", "<u8"), ("length", "<u4"), ("crc", "<u4")])
FOOTER = struct.Struct("<8sQQI4x")
PART = ".part"


class PixelWriter:
    """Writer into a temporary file that is renamed to `path` at the end; an exception or no entry leaves no file."""

    # Not `files.written_aside`: a file without entries must not appear, gigabytes that can be made again are not
    # synced, and under the folder's lock the fixed ending is how the next writer finds and removes a killed one's file.
    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(f"{path.name}{PART}")
        self._entries: list[tuple[bytes, int, int, int]] = []
        self._offset = 0

    def __enter__(self) -> Self:
        self._file = self._part.open("wb")
        return self

    def add(self, key: bytes, data: bytes) -> None:
        """Append one entry."""
        self._file.write(data)
        self._entries.append((key, self._offset, len(data), zlib.crc32(data)))
        self._offset += len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None and self._entries:
                index = np.array(self._entries, ENTRY).tobytes()
                self._file.write(index + FOOTER.pack(MAGIC, len(self._entries), self._offset, zlib.crc32(index)))
                self._file.close()
                os.replace(self._part, self._path)
        finally:
            with suppress(OSError):  # a full disk refuses to flush
                self._file.close()
            self._part.unlink(missing_ok=True)


class PixelFile:
    """A finished container file, memory-mapped; ValueError when it is not one or its index is damaged.

    Entries are not checked on opening: see `is_sound`.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < FOOTER.size:
                raise ValueError("too short")
            self.data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        magic, count, start, crc = FOOTER.unpack(self.data[-FOOTER.size :].tobytes())
        index = self.data[start : size - FOOTER.size]
        if magic != MAGIC or len(index) != count * ENTRY.itemsize or zlib.crc32(index.data) != crc:
            raise ValueError("damaged")
        self.entries: npt.NDArray[np.void] = index.view(ENTRY)

    def is_sound(self, row: int) -> bool:
        """Whether an entry matches its checksum."""
        _, offset, length, crc = self.entries[row]
        return zlib.crc32(self.data[offset : offset + length].data) == int(crc)
