"""Run folder: its layout, its lock and its creation.

recipe.yaml  config.json  manifest.csv  environment.json  data_report.json
events.jsonl  training_log.json  training_history.png  events.out.tfevents.*
checkpoints/step-000123/   bundle/   evaluation/test/
"""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from obverse import interrupts
from obverse.errors import BusyError, DataError, DiskError, OutputError
from obverse.files import ASIDE, open_regular, write_whole
from obverse.launch import Launch

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
NAME_BYTES = 100
# Of a run that first chooses among ways of training: the folder with their runs, and the result.
CHOICE, CHOICE_FILE = "choice", "choice.json"
# Files that a start writes before recipe.yaml. A folder with only these is from a start that was killed; it is reused.
BEGUN = frozenset(
    {".lock", ".start.json", "manifest.csv", "config.json", "environment.json", "data_report.json", CHOICE, CHOICE_FILE}
)
LIBRARIES = ("obverse", "torch", "torchvision", "timm", "transformers", "numpy", "pillow", "simplejpeg")


class RunFolder:
    """Paths and lock of one run folder.

    patience_seconds: how long `lock` waits for a process that is ending.
    """

    def __init__(self, path: Path, *, patience_seconds: float = 0.0) -> None:
        self.path, self.patience_seconds = path, patience_seconds
        self._lock_file: int | None = None
        self._made: list[Path] | None = None

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def manifest(self) -> Path:
        """The manifest with its splits."""
        return self.path / "manifest.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def bundle(self) -> Path:
        """The folder of the model bundle."""
        return self.path / "bundle"

    @property
    def choice(self) -> Path:
        """The folder of the runs among which this one first chooses (`choice` in the recipe)."""
        return self.path / CHOICE

    @property
    def choice_condition(self) -> Path:
        """The recipe of a run that chooses among ways of training, written when it begins."""
        return self.choice / "condition.json"

    @property
    def choice_file(self) -> Path:
        """The result of that choice."""
        return self.path / CHOICE_FILE

    @property
    def is_finished(self) -> bool:
        """Whether the run has written its final training log."""
        return (self.path / "training_log.json").is_file()

    @property
    def is_resumable(self) -> bool:
        """Whether there is something to resume: the run has begun, or its choice among ways of training."""
        return self.recipe.is_file() or self.choice_condition.is_file()

    @property
    def is_locked(self) -> bool:
        """Whether another process holds the folder's lock: it trains there now. Nothing is written."""
        with suppress(OSError), open_regular(self.path / ".lock") as file:
            try:
                _try_lock(file.fileno(), shared=True)  # released when the file is closed
            except BlockingIOError:
                return True
        return False

    def evaluation(self, split: str) -> Path:
        """The folder of a split's results."""
        return self.path / "evaluation" / split

    def claim(self) -> None:
        """Create and lock the folder for a new run; a second call changes nothing.

        BusyError when another process holds the lock, OutputError when the folder holds anything else. Needs no torch,
        so that of several simultaneous starts all but one end at once.
        """
        if self._made is not None and self._lock_file is not None:
            return
        with suppress(OSError):
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(f"{str(self.path)!r} is a file; choose another folder with --run")
        made = self._create()
        names = {path.name for path in self.path.iterdir()}
        if ".lock" in names:
            self.lock()
        try:
            self._require_unused(names)
        except OutputError:
            self.unlock()
            raise
        self.lock()
        self._remove_halves()
        self._made = made
        interrupts.undo_at_end(self.undo)

    def begun(self) -> None:
        """Mark the run as begun: its recipe is written, so from now on it can be resumed and is not removed."""
        interrupts.keep(self.undo)

    def _require_unused(self, names: set[str]) -> None:
        if self.recipe.name in names:
            raise OutputError(
                f"{str(self.path)!r} already holds a run; go on with --resume (in Python, obverse.resume), "
                "or choose another --run"
            )
        begun = {ASIDE.sub(r"\1", name) for name in names} <= BEGUN | {self.recipe.name}
        if names and not (".lock" in names and begun):
            raise OutputError(f"{str(self.path)!r} is not empty and holds no run; choose another folder with --run")

    def reopen(self) -> None:
        """Lock the folder of a run to resume; DataError when it holds no run. A finished run is not changed."""
        if not self.recipe.is_file():
            raise DataError(f"{str(self.path)!r} holds no run to resume: there is no recipe.yaml in it. "
                            "Start it again without --resume")  # fmt: skip
        if not self.is_finished:
            self.lock()
            self._remove_halves()

    def _remove_halves(self) -> None:
        """Remove the temporary files of a killed process; we hold the lock, so no other process writes here."""
        for path in self.path.iterdir():
            if ASIDE.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def began_under(self, launch: Launch) -> bool:
        """Whether the run was begun by the same job, before its launcher restarted the processes."""
        if launch.id is None and not launch.num_restarts:
            return False
        try:
            began = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))["launch"]["id"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return self.recipe.is_file() and (launch.num_restarts > 0 or began == launch.id)

    def undo(self) -> None:
        """Remove the files and folders of a run that has not begun; its folder was empty or did not exist before.

        Runs of a choice are kept.
        """
        interrupts.keep(self.undo)
        if self._lock_file is None or not self._is_ours() or self.choice.is_dir():
            return
        with suppress(OSError):
            for path in self.path.iterdir():
                path.unlink()
            for folder in self._made or ():
                folder.rmdir()

    def _create(self) -> list[Path]:
        """The folders that were created, the deepest first. OutputError when the run folder cannot be created."""
        try:
            made = [path for path in (self.path, *self.path.parents) if not path.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the run folder {str(self.path)!r} cannot be made: {error.strerror}; "
                              "choose another with --run") from None  # fmt: skip
        if not os.access(self.path, os.W_OK):
            raise OutputError(f"the run folder {str(self.path)!r} is not writable; choose another with --run")
        return made

    def lock(self) -> None:
        """Take the folder's lock, until `unlock` or the end of the process; BusyError when another process holds it."""
        if self._lock_file is not None:
            return
        try:
            file = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _lock(file, self.patience_seconds)
            except OSError:
                os.close(file)
                raise
            self._lock_file = file
        except BlockingIOError:
            raise BusyError(
                f"another process trains in {str(self.path)!r}; wait for it or choose another --run"
            ) from None
        except OSError as error:
            raise OutputError(f"the run folder {str(self.path)!r} is not writable: {error.strerror}") from None

    def unlock(self) -> None:
        """Release the folder's lock."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def require_ours(self) -> None:
        """OutputError when the locked folder is no longer the one at this path: removed, moved or replaced.

        Called before each write, which would otherwise create an incomplete run, or damage another one.
        """
        if self._lock_file is not None and not self._is_ours():
            raise OutputError(f"the run folder {str(self.path)!r} was removed or moved while the run was going on, and "
                              "nothing more is written there; go on with --resume where it lies now, or start "
                              "again")  # fmt: skip

    def _is_ours(self) -> bool:
        assert self._lock_file is not None
        try:
            here, ours = os.stat(self.path / ".lock"), os.fstat(self._lock_file)
        except OSError:
            return False
        return (here.st_dev, here.st_ino) == (ours.st_dev, ours.st_ino)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file atomically."""
        self.require_ours()
        write_text(self.path / name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _lock(file: int, patience_seconds: float) -> None:
    # At least twice, because `is_locked` of another process may hold the lock for a moment.
    end = time.monotonic() + max(patience_seconds, 0.05)
    while True:
        try:
            return _try_lock(file)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.1)


def _try_lock(file: int, *, shared: bool = False) -> None:
    """Take the lock at once, or raise BlockingIOError. shared: beside others that only look (not on Windows)."""
    if sys.platform == "win32":
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; several processes may write at once. DiskError names the file and its size."""
    # A name that is no UTF-8 becomes `\\udcff`, which JSON reads back as it was.
    data = text.encode("utf-8", "backslashreplace")
    try:
        write_whole(path, data, sync=False)
    except OSError as error:
        raise disk_error(path, len(data), error) from error


def disk_error(path: Path, num_bytes: int | None, error: OSError) -> DiskError | OutputError:
    """The error for a failed write: DiskError for a full or failing disk, else OutputError."""
    if error.errno in DISK_FAULTS:
        needed = f"; {num_bytes:,} bytes are needed" if num_bytes is not None else ""
        return DiskError(f"writing {str(path)!r} failed ({error.strerror}){needed}. Free space and try again; "
                         "training goes on with --resume")  # fmt: skip
    advice = "; allow larger files (ulimit -f), or choose another file system" if error.errno == errno.EFBIG else ""
    return OutputError(f"{str(path)!r} cannot be written: {error.strerror}{advice}")


def default_run_path(data: Path, now: datetime) -> Path:
    """The default run folder, runs/<data>-<date>-<time>."""
    return Path("runs") / f"{short_name(data)}-{now:%Y%m%d-%H%M%S}"


def short_name(data: Path) -> str:
    """Name of the data folder, shortened: the name of a run folder may have at most 255 bytes."""
    stem = os.fsencode(data.resolve().stem or "data")
    return stem[:NAME_BYTES].decode("utf-8", "ignore")


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # transformers is an extra
            yield name, version(name)


def describe_environment(**more: Any) -> dict[str, Any]:
    """Content of environment.json: versions, machine and command."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "libraries": dict(_versions()),
        "command": sys.argv,
        **more,
    }
