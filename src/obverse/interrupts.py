"""Ctrl-C and SIGTERM before and beside the work: no traceback, nothing half begun, exit code 130 or 143.

Python's own way raises KeyboardInterrupt wherever the program happens to be. While a library is being loaded that is in
the midst of foreign code, which may swallow it, turn it into an ImportError, or print pages. So there the process ends
at once, after what it has begun is undone; elsewhere KeyboardInterrupt is raised as ever. While it trains, a run has
handlers of its own (`training/signals.py`). A library never changes signals: only the command does.
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
# Whether a verb is at work: before and after it there is nobody to catch an exception.
_is_at_work = False
# A forked child inherits the handlers, but has begun nothing.
_owner = 0


def listen() -> None:
    """From now on signals are handled as above; outside the main thread nothing changes."""
    global _owner
    _owner = os.getpid()
    with suppress(ValueError):
        for number in _SIGNALS:
            signal.signal(number, _handle)


@contextmanager
def listening() -> Iterator[None]:
    """`listen` while the block, a verb, runs; at its end, what was begun and neither kept nor undone is undone."""
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


def undo_at_end(undo: Callable[[], None]) -> None:
    """Call `undo` when the command ends, in whatever way, before `keep`."""
    _to_undo.append(undo)


def keep(undo: Callable[[], None]) -> None:
    """What `undo` would remove has become something, or is gone already."""
    while undo in _to_undo:
        _to_undo.remove(undo)


def _handle(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and _is_at_work and not _is_loading(frame):
        raise KeyboardInterrupt
    if os.getpid() == _owner:
        _undo_all()
        if number == signal.SIGINT:
            os.write(2, b"Error: interrupted\n")
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
