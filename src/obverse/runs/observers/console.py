"""The live line: epoch, loss, accuracy, pictures per second, data wait and time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from obverse.runs.events import EpochEnd, Event, Message, StepEnd

REFRESH_SECONDS = 0.5


class ConsoleObserver:
    """One line per epoch; on a terminal the current epoch's line is live."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_live = self._stream.isatty()
        self._last = 0.0
        self._left = ""

    def notify(self, event: Event) -> None:
        """Print what the user wants to see."""
        if isinstance(event, StepEnd):
            self._left = time_left(event.run_seconds, event.fraction_done)
            if self._is_live and time.monotonic() - self._last > REFRESH_SECONDS:
                self._last = time.monotonic()
                self._print(step_line(event) + f"  left {self._left}", end="\r")
        elif isinstance(event, EpochEnd):
            self._print(epoch_line(event) + f"  left {self._left}")
        elif isinstance(event, Message):
            self._print(event.text)

    def close(self) -> None:
        """Nothing is held."""

    def _print(self, text: str, end: str = "\n") -> None:
        clear = "\x1b[2K" if self._is_live else ""
        self._stream.write(clear + text + end)
        self._stream.flush()


def step_line(event: StepEnd) -> str:
    """The line inside an epoch."""
    per_second = event.pictures / event.seconds if event.seconds else 0.0
    wait = event.data_seconds / event.seconds if event.seconds else 0.0
    return (
        f"epoch {event.epoch}  step {event.batch}/{event.num_batches}  loss {event.epoch_loss:.3f}  "
        f"accuracy {event.epoch_accuracy:.1%}  {per_second:,.0f} pictures/s  data wait {wait:.0%}"
    )


def epoch_line(event: EpochEnd) -> str:
    """The line after an epoch."""
    best = "  best" if event.is_best else ""
    return (
        f"epoch {event.epoch}  loss {event.train_loss:.3f}  accuracy {event.train_accuracy:.1%}  "
        f"val loss {event.val_loss:.3f}  val accuracy {event.val_accuracy:.1%}  "
        f"{event.pictures_per_second:,.0f} pictures/s  data wait {event.data_wait:.0%}{best}"
    )


def time_left(run_seconds: float, fraction_done: float) -> str:
    """Minutes and seconds until the end, from the share done so far."""
    if fraction_done <= 0:
        return "?"
    seconds = round(run_seconds * (1 - fraction_done) / fraction_done)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds >= 3600 else (
        f"{seconds // 60}:{seconds % 60:02d}")  # fmt: skip
