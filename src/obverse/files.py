"""Files that users name, read without surprises: ordinary files only, and a limit of bytes before the first is read.

A path on a command line may be a pipe without a writer, a device that never ends, or a sparse file of 30 GB. Every
refusal is an `OSError` with the reason in `strerror`, so that callers say it like "no such file".
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

# Recipes, indexes and other text that is read as a whole and then parsed.
MAX_TEXT_BYTES = 64 * 2**20

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def require_regular(path: Path | str, status: os.stat_result) -> None:
    """OSError when `status`, that of `path`, is not an ordinary file's."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not an ordinary file", str(path))


def regular_status(path: Path | str) -> os.stat_result:
    """Size and times of an ordinary file; OSError when there is none."""
    status = os.stat(path)
    require_regular(path, status)
    return status


def open_regular(path: Path | str) -> IO[bytes]:
    """An ordinary file, opened for reading without a buffer; OSError when there is none."""
    # Looked at first, because to open a device may already do something; and again, because names change hands.
    regular_status(path)
    return open(path, "rb", buffering=0, opener=_open)


def read_regular(path: Path | str, *, max_bytes: int) -> bytes:
    """The bytes of an ordinary file; OSError when there is none, or when it has more than `max_bytes`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= max_bytes:
            data = _read(file, max_bytes + 1)
            size = len(data)
    if size > max_bytes:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, more than the limit of {max_bytes:,}", str(path))
    return data


def read_text(path: Path | str, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of an ordinary UTF-8 file, as `read_regular`; UnicodeDecodeError when it is none."""
    return read_regular(path, max_bytes=max_bytes).decode("utf-8")


def _read(file: IO[bytes], max_bytes: int) -> bytes:
    parts = []
    while max_bytes > 0 and (part := file.read(max_bytes)):
        parts.append(part)
        max_bytes -= len(part)
    return b"".join(parts)


def _open(path: str, flags: int) -> int:
    """Without waiting for the other end of a pipe."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    try:
        require_regular(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
