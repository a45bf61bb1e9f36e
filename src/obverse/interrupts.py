"""Handlers of Ctrl-C and SIGTERM outside training: no traceback, no half-made folder, exit code 130 or 143.

Python's default raises KeyboardInterrupt wherever the program happens to be. During an import that is inside foreign
code, which may swallow the exception, turn it into an ImportError, or print pages. There the handler runs the
registered clean-up and ends the process; elsewhere it raises KeyboardInterrupt. These handlers are the
command's alone. Training has others while it lasts, from Python as well (`training/signals.py`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOADER = "<frozen importlib._bootstrap>"
_to_undo: list[Callable[[], None]] = []
# Whether a command is running: before and after it nothing catches an exception.
_is_at_work = False
_is_terminable = False
# Whether what runs now can be gone on with by `--resume`.
_is_resumable: Callable[[], bool] | None = None
# The process that may clean up: a forked child inherits the handlers, but has created nothing.
_owner = 0


def listen() -> None:
    """Install the handlers; outside the main thread, where Python allows none, nothing changes."""
    global _owner
    _owner = os.getpid()
    with suppress(ValueError):
        for number in _SIGNALS:
            signal.signal(number, _handle)


def ignore() -> None:
    """Ignore the signals from now on: at the end of a command, where Python would restore its defaults, which end the
    process by the signal although the work is done and its exit code decided.
    """
    with suppress(ValueError):
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def listening() -> Iterator[None]:
    """Context of a running command: installs the handlers, and at its end runs the clean-up still registered."""
    global _is_at_work
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    listen()
    _is_at_work = True
    try:
        yield
    finally:
        _is_at_work = False
        _undo_all()
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)


def is_command() -> bool:
    """Whether a command is running, so that the process is ours to end."""
    return _is_at_work


class Terminated(KeyboardInterrupt):
    """SIGTERM within `terminable`."""


@contextmanager
def terminable() -> Iterator[None]:
    """Context in which SIGTERM raises Terminated as Ctrl-C raises KeyboardInterrupt, for work with something to write
    when it is stopped.
    """
    global _is_terminable
    _is_terminable = True
    try:
        yield
    finally:
        _is_terminable = False


@contextmanager
def resumable(is_saved: Callable[[], bool]) -> Iterator[None]:
    """Context of work that `--resume` goes on with, once `is_saved`: a signal that ends it says so."""
    global _is_resumable
    before, _is_resumable = _is_resumable, is_saved
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)(str(stop) or _words()) from None
    finally:
        _is_resumable = before


def _words() -> str:
    """What a command says that a signal ends; empty where nothing is saved."""
    is_saved = _is_resumable is not None and _is_resumable()
    return "stopped by a signal; everything is saved, go on with --resume" if is_saved else ""


def undo_at_end(undo: Callable[[], None]) -> None:
    """Register a clean-up: `undo` is called when the command ends, in whatever way, unless `keep` comes first."""
    _to_undo.append(undo)


def keep(undo: Callable[[], None]) -> None:
    """Unregister a clean-up: what `undo` would remove is now worth keeping, or is gone already."""
    while undo in _to_undo:
        _to_undo.remove(undo)


def _handle(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and _is_at_work and not _is_loading(frame):
        raise KeyboardInterrupt
    if _is_terminable and os.getpid() == _owner and not _is_loading(frame):
        raise Terminated
    if os.getpid() == _owner:
        _undo_all()
        if number == signal.SIGINT or _words():
            os.write(2, f"Error: {_words() or 'interrupted'}\n".encode())
    os._exit(128 + number)


def _undo_all() -> None:
    while _to_undo:
        with suppress(Exception):
            _to_undo.pop()()


def _is_loading(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _LOADER:
            return True
        frame = frame.f_back
    return False
