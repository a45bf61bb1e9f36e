"""Handlers of SIGINT and SIGTERM during training: the first lets the step end and saves, the second ends at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class SignalWish:
    """Handler that records the first signal."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> int | None:
        """The signal's number, or None."""
        return self.number

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record the first signal; end the process at the second."""
        if self.number is not None:
            os._exit(128 + number)
        self.number = number


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
