"""Results that are not finished: a folder beside the file, whose lines a later call continues.

results.csv.partial/rows            the lines so far
results.csv.partial/identity.json   what they are answers of
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from obverse.errors import BusyError, OutputError
from obverse.files import read_json_object, write_whole
from obverse.inference.requests import Failure
from obverse.runtime import locked

from .forms import Form
from .rows import Answer

SUFFIX = ".partial"
Identity = Mapping[str, str | int]
"""Keys in words, such as `another model`, whose values must be equal for lines to be continued."""


@dataclass
class Partial:
    """Lines of an unfinished file; only one process at a time has them."""

    path: Path
    """The file that the lines become."""

    form: Form

    num_failures: int = 0
    """Number of lines without an answer."""

    first_error: str = ""
    """Error of the first such line; empty without one."""

    _rows: Path = field(init=False)

    def __post_init__(self) -> None:
        self._rows = partial_of(self.path) / "rows"

    def keep(self, multiple: int, total: int) -> int:
        """Number of lines that are kept of an earlier call; what follows them is dropped.

        Lines are kept in whole batches: a batch of other samples could change the last digit of an answer.

        multiple: samples of a batch. total: samples of all.
        """
        with suppress(FileNotFoundError), self._rows.open("rb") as file:
            # A kill may have left a part of a line, which has no line feed.
            num_lines = sum(1 for line in file if line.endswith(b"\n")) - bool(self.form.head)
            num_kept = num_lines if num_lines == total else num_lines // multiple * multiple
            if 0 < num_kept <= total:
                self._cut(num_kept)
                return num_kept
        self._rows.write_bytes(self.form.head.encode())
        return 0

    def _cut(self, num_kept: int) -> None:
        with self._rows.open("r+b") as file:
            if self.form.head:
                file.readline()
            for _ in range(num_kept):
                self._count(self.form.error_of(file.readline().decode()))
            file.truncate(file.tell())

    def append(self, answers: Sequence[Answer]) -> None:
        """Add the lines of some answers."""
        lines = "".join(map(self.form.line, answers)).encode()
        with self._rows.open("ab") as file:
            file.write(lines)
        for answer in answers:
            self._count(answer.error if isinstance(answer, Failure) else "")

    def _count(self, error: str) -> None:
        self.num_failures += bool(error)
        self.first_error = self.first_error or error

    def finish(self) -> None:
        """Give the file its form and its name, and remove the folder."""
        finished = self.form.finished(self._rows)
        with finished.open("rb") as file:
            os.fsync(file.fileno())
        require_absent(self.path)
        os.replace(finished, self.path)
        shutil.rmtree(partial_of(self.path), ignore_errors=True)


def partial_of(path: Path) -> Path:
    """The folder of unfinished results."""
    return path.with_name(path.name + SUFFIX)


def require_absent(path: Path) -> None:
    """OutputError where something has that name already."""
    if os.path.lexists(path):
        raise OutputError(f"{str(path)!r} is there already, and results are never overwritten; give another name, or "
                          "remove it first")  # fmt: skip


@contextmanager
def opened(path: Path, form: Form, identity: Identity) -> Iterator[Partial]:
    """Context of the unfinished results of `path`, begun now or by an earlier call.

    OutputError when `path` exists, or the earlier call had another identity. BusyError while another process writes it.
    """
    require_absent(path)
    folder = partial_of(path)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder, wait=False):
            require_absent(path)  # again: its writer may just have finished
            _require_identity(folder, identity)
            yield Partial(path, form)
    except BlockingIOError:
        raise BusyError(f"another process writes {str(path)!r}; wait for it, or give another name") from None


def _require_identity(folder: Path, identity: Identity) -> None:
    place = folder / "identity.json"
    if not place.exists():
        write_whole(place, json.dumps(identity, indent=1).encode())
        return
    earlier = read_json_object(place)
    different = [name for name in identity if earlier.get(name) != identity[name]]
    if different:
        raise OutputError(f"{str(folder)!r} was begun with {' and '.join(different)}; the command with which it was "
                          "begun continues it. To begin anew, remove the folder or give another name")  # fmt: skip
