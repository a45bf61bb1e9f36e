"""Errors that users can mend, each with the exit code of the command.

Not for bugs of ours: those stay ordinary exceptions and end with exit code 1. The table of codes stands in
`docs/reference/exit-codes.md`; the numbers follow BSD `sysexits.h` where it has a word for the case.
"""

from __future__ import annotations

from typing import Any


class ObverseError(Exception):
    """One clear sentence for the user: what is wrong, where, and what to do."""

    exit_code = 1
    # Whether the message has reached the user already, for example from another process of the run.
    is_reported = False
    # Lines that explain the sentence, to be shown before it.
    details: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        # Python calls the constructor with the message alone, and a process pool breaks where it takes more.
        return _unpickled, (type(self), self.args), self.__dict__


def _unpickled(kind: type[ObverseError], args: tuple[Any, ...]) -> ObverseError:
    return kind.__new__(kind, *args)


class RecipeError(ObverseError, ValueError):
    """A recipe or a command-line argument that cannot be carried out."""

    exit_code = 2


class OutputError(ObverseError):
    """A folder or file that cannot be written."""

    exit_code = 73


class UnavailableError(ObverseError):
    """Weights or a package that are missing."""

    exit_code = 69


class DataError(ObverseError, ValueError):
    """Pictures, tables or model files that cannot be used."""

    exit_code = 65


class OutOfMemoryError(ObverseError):
    """The machine or the accelerator ran out of memory."""

    exit_code = 71


class DivergedError(ObverseError):
    """The loss or a gradient is no longer a finite number."""

    exit_code = 66


class DiskError(ObverseError):
    """The disk is full or failed while writing."""

    exit_code = 74


class BusyError(ObverseError):
    """Another process works in the same run folder."""

    exit_code = 75


class RefusedError(ObverseError):
    """A check refused to go on: an export that disagrees, an accuracy gate."""

    exit_code = 76


class Interrupted(ObverseError):
    """A signal asked the run to stop; what was done so far is saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class ElsewhereError(ObverseError):
    """Failure of another process of this run, which has printed the reason."""

    is_reported = True

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of this run has failed")
        self.exit_code = exit_code


def printable(text: str) -> str:
    """One line that any terminal can show: a file name may hold newlines, escape codes or bytes that are no UTF-8."""
    clean = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in clean)
