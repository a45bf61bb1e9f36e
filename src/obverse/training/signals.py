"""SIGINT and SIGTERM: the step ends and a checkpoint is written; a second signal ends the process at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class SignalWish:
    """Remembers the first signal."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> int | None:
        """The signal's number, or None."""
        return self.number

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if self.number is not None:
            os._exit(128 + number)
        self.number = number


@contextmanager
def catch_signals() -> Iterator[SignalWish]:
    """Replace the handlers of SIGINT and SIGTERM while the block runs; outside the main thread nothing is replaced."""
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
