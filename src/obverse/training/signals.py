"""Handlers of SIGINT and SIGTERM during training: the first lets the step end and saves, the second ends at once.

What ends is the process of the command, which is ours. In a caller's process it is the call.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from obverse.data import DeadWorker, Loader
from obverse.errors import DataError, Interrupted
from obverse.interrupts import is_command

Value = TypeVar("Value")


class _NotAwaited(BaseException):
    """The first signal, while a value is awaited."""


class SignalWish:
    """Handler that records the first signal."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_waiting = False

    def __call__(self) -> int | None:
        """The signal's number, or None."""
        return self.number

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record the first signal; end the command at the second, and from Python the call.

        Raises KeyboardInterrupt, or SystemExit for SIGTERM.
        """
        if self.number is None:
            self.number = number
            if self.is_waiting:
                raise _NotAwaited
        elif is_command():
            os._exit(128 + number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


def awaited(
    values: Iterator[Value], wanted_signal: Callable[[], int | None], save: Callable[[], object]
) -> Iterator[Value]:
    """The same values, up to the first signal of `catch_signals`: the next value may never come.

    wanted_signal: what `catch_signals` gave; with another function a signal is not noticed. save: called before a
    DataError of the values is raised.
    """
    wish = wanted_signal if isinstance(wanted_signal, SignalWish) else SignalWish()
    while True:
        try:
            try:
                wish.is_waiting = True
                if wish.number is not None:
                    return
                value = next(values)
            finally:
                wish.is_waiting = False
        except (_NotAwaited, StopIteration):
            return
        except DataError as error:
            if wish.number is not None:  # the signal has also ended a process that reads
                return
            save()
            advice = "" if "--resume" in str(error) else ". All steps are saved: once it is mended, go on with --resume"
            raise type(error)(f"{error}{advice}") from None
        yield value


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
    except (DeadWorker, RuntimeError) as error:
        # DeadWorker: the loader itself noticed it, because the main process was waiting for a batch.
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        number = wish()
        if number is not None:
            raise Interrupted("stopped by a signal that also ended the processes which load pictures; "
                              "--resume goes on from the last checkpoint", number) from None  # fmt: skip
        if isinstance(error, DeadWorker):
            raise
        raise loader.worker_error(error) from None
