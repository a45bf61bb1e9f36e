"""Handlers of SIGINT and SIGTERM during training: the first lets the step end and saves, the second ends at once.

What ends is the process of the command, which is ours. In a caller's process it is the call.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from obverse.data import Loader
from obverse.errors import DataError, Interrupted
from obverse.interrupts import is_command


class SignalWish:
    """Handler that records the first signal."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> int | None:
        """The signal's number, or None."""
        return self.number

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record the first signal; end the command at the second, and from Python the call.

        Raises KeyboardInterrupt, or SystemExit for SIGTERM.
        """
        if self.number is None:
            self.number = number
        elif is_command():
            os._exit(128 + number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


@contextmanager
def catch_signals() -> Iterator[SignalWish]:
    """Context with handlers for SIGINT and SIGTERM; outside the main thread none are installed."""
    wish = SignalWish()
    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, wish.handle)
    except ValueError:
        pass
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def workers_explained(loader: Loader, wish: Callable[[], int | None]) -> Iterator[None]:
    """Context that turns the death of a loader process into Interrupted or DataError.

    torch raises a RuntimeError for a dead worker at whatever line the main process is. A signal to the whole process
    group (from a scheduler, or at a container's end) also ends the loader processes: then Interrupted is raised.
    """
    try:
        yield
    except (DataError, RuntimeError) as error:
        # A DataError: the loader itself noticed the dead worker, because the main process was waiting for a batch.
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        number = wish()
        if number is not None:
            raise Interrupted("stopped by a signal that also ended the processes which load pictures; "
                              "--resume goes on from the last checkpoint", number) from None  # fmt: skip
        if isinstance(error, DataError):
            raise
        raise loader.worker_error(error) from None
