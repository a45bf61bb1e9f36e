"""Staged writing of a folder of results: a reader gets all files of one writing, or an error.

Results are written into a stage, a folder inside the target, then renamed to their places file by file. Before the
first rename, the list of all digests (`digests.json`) is written: a process that is killed between the renames leaves
files that do not match the list, and `require_whole` reports that. Files that others put into the folder are not
touched. A sibling folder and a single rename would not do: the target may be a mount point, and its parent may belong
to another user.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

from .errors import DataError
from .files import read_json_object, remove_halves, write_whole

if sys.platform != "win32":
    import fcntl

DIGESTS = "digests.json"
_STAGE = ".new.{}.tmp"
# Files that programs read back. Digests of pages and pictures are not checked: people may remove or edit them.
_DATA = {".npy", ".npz", ".json"}


@contextmanager
def staged(folder: Path, *, earlier: Iterable[str] = ()) -> Iterator[Path]:
    """Context with a stage to write into; when the block ends without an error, its files replace those in `folder`.

    earlier: names of results that older versions, which kept no list of digests, may have written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_dead(folder)
    stage = folder / _STAGE.format(uuid4().hex[:8])
    stage.mkdir()
    lock = _locked(stage)
    try:
        yield stage
        _commit(stage, folder, {*earlier, *_listed(folder)})
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def final_place(folder: Path) -> Path:
    """The folder in which the content of a stage will lie, from which relative links must start."""
    is_stage = folder.name.startswith(".new.") and folder.name.endswith(".tmp")
    return folder.parent if is_stage else folder


def require_whole(folder: Path, *, only: Collection[str] | None = None) -> None:
    """DataError when the results in `folder` are not those that were written there together.

    only: names of the files that will be read; by default all.
    """
    try:
        listed = _read_list(folder)
    except DataError as error:
        raise DataError(f"{error}; run `obverse evaluate` again") from None
    for name, digest in listed.items():
        path = folder / name
        is_wanted = path.suffix in _DATA and (only is None or name in only)
        if is_wanted and path.is_file() and _digest(path) != digest:
            raise DataError(f"{str(folder)!r} holds results that do not belong together: {name} is not what was "
                            "written with the others (was it changed, or was the process that wrote them killed?); "
                            "run `obverse evaluate` again")  # fmt: skip


def _commit(stage: Path, folder: Path, earlier: set[str]) -> None:
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    names = [path.relative_to(stage).as_posix() for path in files]
    for path in files:
        _sync(path)
    listed = {name: _digest(path) for name, path in zip(names, files, strict=True)}
    # A removed file stays in the list, with an empty digest, until it is gone: a reader in between is refused.
    going = {name: "" for name in sorted(earlier - set(names) - {DIGESTS}) if (folder / name).is_file()}
    _write_list(folder, listed | going)
    for name in going:
        (folder / name).unlink(missing_ok=True)
    for name, path in zip(names, files, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, folder / name)
    if going:
        _write_list(folder, listed)


def _write_list(folder: Path, listed: dict[str, str]) -> None:
    write_whole(folder / DIGESTS, (json.dumps(listed, indent=1) + "\n").encode())


def _read_list(folder: Path) -> dict[str, str]:
    """The list of digests (name -> SHA-256); empty where there is no list."""
    path = folder / DIGESTS
    if not path.exists():
        return {}
    values = read_json_object(path)
    for name, digest in values.items():
        place = PurePosixPath(name)
        if not isinstance(digest, str) or place.is_absolute() or ".." in place.parts:
            raise DataError(f"{str(path)!r} is no list of digests")
    return values


def _listed(folder: Path) -> set[str]:
    """The names in the list of digests; none where it cannot be read. These files are replaced or removed."""
    with suppress(DataError):
        return set(_read_list(folder))
    return set()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _locked(stage: Path) -> int | None:
    """A file descriptor that holds the stage's lock, the sign that its process lives; None on Windows."""
    if sys.platform == "win32":
        return None
    handle = os.open(stage, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _remove_dead(folder: Path) -> None:
    """Remove the stages and half-written lists of processes that were killed."""
    remove_halves(folder, DIGESTS)
    for stage in folder.glob(_STAGE.format("*")):
        if sys.platform == "win32":
            continue
        with suppress(OSError):
            handle = os.open(stage, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(stage, ignore_errors=True)
            finally:
                os.close(handle)
