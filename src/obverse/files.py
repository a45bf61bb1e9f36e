"""Files read without surprises, and written whole or not at all.

Reading: ordinary files only, and a limit of bytes before the first is read. A path on a command line may be a pipe
without a writer, a device that never ends, or a sparse file of 30 GB. Every refusal is an `OSError` with the reason in
`strerror`, so that callers say it like "no such file".

Writing: aside, synced, then renamed, so that whoever reads and whoever is killed never meets half a file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from .errors import DataError

# Recipes, indexes and other text that is read as a whole and then parsed.
MAX_TEXT_BYTES = 64 * 2**20
# Of lists in lists: far more than any file of ours has, far less than what a parser of Python runs out of.
MAX_DEPTH = 64

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
            data = _read(file, max_bytes + 1, at_once=size + 1)
            size = len(data)
    if size > max_bytes:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, more than the limit of {max_bytes:,}", str(path))
    return data


def read_text(path: Path | str, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of an ordinary UTF-8 file, as `read_regular`; UnicodeDecodeError when it is none."""
    return read_regular(path, max_bytes=max_bytes).decode("utf-8")


def read_json(path: Path | str, *, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """The value in a JSON file; DataError with one sentence when there is none, whatever is wrong with it."""
    try:
        value = json.loads(read_text(path, max_bytes=max_bytes), object_pairs_hook=_without_doubles)
        _require_flat(value)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} cannot be read as JSON: {error}") from None
    return value


def read_json_object(path: Path | str, *, max_bytes: int = MAX_TEXT_BYTES) -> dict[str, Any]:
    """The same, where the value must be an object."""
    value = read_json(path, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise DataError(f"{str(path)!r} holds no JSON object, but {type(value).__name__}")
    return value


# The name that `written_aside` writes under before it renames.
ASIDE = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")


@contextmanager
def written_aside(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends; an exception leaves what was there.

    Several processes may write the same file at once: the last one to end wins.
    """
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield aside
        if sync:
            with aside.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        if error.filename == str(aside):  # messages name the file that was asked for
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file aside, then rename it. OSError leaves what was there, and no temporary file."""
    with written_aside(path, sync=sync) as aside:
        aside.write_bytes(data)


def remove_halves(folder: Path, *names: str) -> None:
    """What killed processes were writing under these names; nobody else may be writing them now."""
    for path in folder.iterdir():
        match = ASIDE.fullmatch(path.name)
        if match and match[1] in names:
            path.unlink(missing_ok=True)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is there twice")
    return values


def _require_flat(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [inner for part in parts for inner in part]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _read(file: IO[bytes], max_bytes: int, *, at_once: int) -> bytes:
    """at_once: memory is taken for so much, however much the limit is."""
    parts = []
    while max_bytes > 0 and (part := file.read(min(max_bytes, at_once))):
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
