"""All observers of a run as one: whoever fails is named once, closed and left out, and training goes on.

Also a full disk under events.jsonl or TensorBoard: what must not be lost is in checkpoints, which do end the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from obverse.errors import printable
from obverse.runs.events import Event, Message, Observer


class Watch:
    """Passes events on; itself an observer."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """From now on it hears too."""
        self._observers.append(observer)

    def notify(self, event: Event) -> None:
        """Tell everyone who still works."""
        for observer in tuple(self._observers):
            if observer in self._observers:
                try:
                    observer.notify(event)
                except Exception as error:  # a tracker may fail in any way
                    self._leave_out(observer, error)

    def close(self) -> None:
        """Close everyone; a failure is said to those still open."""
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
