"""A folder of results that belong together: all of one time, or noticed.

Results are written into a folder inside, then moved to their places, each file whole. Before the first is moved, the
list of all digests (`digests.json`) takes its place: whoever is killed among the moves leaves files that are not those
of the list, and whoever reads them is told. Nothing that somebody else put there is touched. A sibling folder and one
renaming would not do: the folder may be a mount point, and its parent may be another's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

from .errors import DataError
from .files import read_json_object, remove_halves, write_whole

if sys.platform != "win32":
    import fcntl

DIGESTS = "digests.json"
_STAGE = ".new.{}.tmp"
# What programs read back; pages and pictures are for people, who may remove or edit them.
_DATA = {".npy", ".npz", ".json"}


@contextmanager
def staged(folder: Path, *, earlier: Iterable[str] = ()) -> Iterator[Path]:
    """A folder to write results into; when the block ends without an error, they are the results in `folder`.

    earlier: the names of results that may lie there from a time when no list was kept.
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
    """Where what is written into `folder` will lie: links to what is elsewhere start there."""
    is_stage = folder.name.startswith(".new.") and folder.name.endswith(".tmp")
    return folder.parent if is_stage else folder


def require_whole(folder: Path) -> None:
    """DataError when the results in `folder` are not those that were written there together."""
    try:
        listed = _read_list(folder)
    except DataError as error:
        raise DataError(f"{error}; run `obverse evaluate` again") from None
    for name, digest in listed.items():
        path = folder / name
        if path.suffix in _DATA and path.is_file() and _digest(path) != digest:
            raise DataError(f"{str(folder)!r} holds results that do not belong together: {name} is not what was "
                            "written with the others (was it changed, or was the process that wrote them killed?); "
                            "run `obverse evaluate` again")  # fmt: skip


def _commit(stage: Path, folder: Path, earlier: set[str]) -> None:
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    names = [path.relative_to(stage).as_posix() for path in files]
    for path in files:
        _sync(path)
    listed = {name: _digest(path) for name, path in zip(names, files, strict=True)}
    # What goes stays in the list until it is gone: without its digest, it would be refused.
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
    """Name -> digest; nothing where there is no list."""
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
    """The names in the list, as far as it can be read: they will be written anew, or go."""
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
    """A handle by which others see that the process that writes here is alive; None where folders cannot be opened."""
    if sys.platform == "win32":
        return None
    handle = os.open(stage, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _remove_dead(folder: Path) -> None:
    """What killed processes were writing."""
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
