"""Dispatch of events to all observers: one that fails is reported once and removed, and training goes on.

That includes a full disk under events.jsonl or TensorBoard. Only a checkpoint that cannot be written ends the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from obverse.errors import printable
from obverse.runs.events import Event, Message, Observer


class Watch:
    """Observer that forwards events to other observers."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """Add an observer, which gets all later events."""
        self._observers.append(observer)

    def notify(self, event: Event) -> None:
        """Forward an event to all observers that have not failed."""
        for observer in tuple(self._observers):
            if observer in self._observers:
                try:
                    observer.notify(event)
                except Exception as error:  # a tracker may fail in any way
                    self._leave_out(observer, error)

    def close(self) -> None:
        """Close all observers; a failure is reported to those still open."""
        while self._observers:
            observer = self._observers.pop()
            try:
                observer.close()
            except Exception as error:
                self.notify(_left_out(observer, error))

    def _leave_out(self, observer: Observer, error: Exception) -> None:
        self._observers.remove(observer)
        with suppress(Exception):
            observer.close()
        self.notify(_left_out(observer, error))


def _left_out(observer: Observer, error: Exception) -> Message:
    reason = printable(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
    return Message(f"{type(observer).__name__} failed and is left out, training goes on ({reason})")
