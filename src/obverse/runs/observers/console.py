"""Progress lines on the console: epoch, loss, accuracy, pictures per second, data wait and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from obverse.runs.events import EpochEnd, Event, Message, StepEnd
from obverse.terminal import SEPARATOR, Colour, fitted, is_terminal, num_columns, painted

REFRESH_SECONDS = 0.5
BEST = "best"
# Rank of each part of the two lines, in their order; a narrow terminal drops the largest numbers first.
STEP_IMPORTANCE = (0, 1, 3, 4, 5, 6, 2)
EPOCH_IMPORTANCE = (0, 4, 6, 3, 1, 7, 8, 2, 5)
COLOURS: tuple[tuple[str, Colour], ...] = (("Error: ", "red"), ("Warning: ", "yellow"), ("Note: ", "dim"))


class ConsoleObserver:
    """Printer of one line per epoch; on a terminal also a live line of the current epoch, fitted to its width."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_live = is_terminal(self._stream)
        self._last = 0.0
        self._left = ""

    def notify(self, event: Event) -> None:
        """Print a step, an epoch or a message."""
        if isinstance(event, StepEnd):
            self._left = time_left(event.run_seconds, event.fraction_done)
            if self._is_live and time.monotonic() - self._last > REFRESH_SECONDS:
                self._last = time.monotonic()
                self._print(self._line([*step_parts(event), f"left {self._left}"], STEP_IMPORTANCE), end="\r")
        elif isinstance(event, EpochEnd):
            line = self._line([*epoch_parts(event), f"left {self._left}" if event.step else ""], EPOCH_IMPORTANCE)
            self._print(line.replace(BEST, painted(BEST, "green", self._stream)))
        elif isinstance(event, Message):
            self._print(self._message(event.text))

    def close(self) -> None:
        """Nothing to release."""

    def _line(self, parts: Sequence[str], importance: Sequence[int]) -> str:
        """The parts that fit: a line that wraps cannot be overwritten. A cursor in the last column wraps, too."""
        kept = fitted(parts, importance, num_columns(self._stream) - 1 if self._is_live else None)
        return SEPARATOR.join(filter(None, kept))

    def _message(self, text: str) -> str:
        for word, colour in COLOURS:
            if text.startswith(word):
                return painted(word, colour, self._stream) + text.removeprefix(word)
        return text

    def _print(self, text: str, end: str = "\n") -> None:
        clear = "\x1b[2K" if self._is_live else ""
        self._stream.write(clear + text + end)
        self._stream.flush()


def step_parts(event: StepEnd) -> list[str]:
    """The parts of the line inside an epoch."""
    per_second = event.pictures / event.seconds if event.seconds else 0.0
    wait = event.data_seconds / event.seconds if event.seconds else 0.0
    return [
        f"epoch {event.epoch}",
        f"step {event.batch}/{event.num_batches}",
        f"loss {event.epoch_loss:.3f}",
        f"accuracy {event.epoch_accuracy:.1%}",
        f"{per_second:,.0f} pictures/s",
        f"data wait {wait:.0%}",
    ]


def epoch_parts(event: EpochEnd) -> list[str]:
    """The parts of the line after an epoch."""
    return [
        f"epoch {event.epoch}",
        f"loss {event.train_loss:.3f}",
        f"accuracy {event.train_accuracy:.1%}",
        f"val loss {event.val_loss:.3f}",
        f"val accuracy {event.val_accuracy:.1%}",
        f"{event.pictures_per_second:,.0f} pictures/s" if event.step else "",
        f"data wait {event.data_wait:.0%}" if event.step else "",
        BEST if event.is_best else "",
    ]


def time_left(run_seconds: float, fraction_done: float) -> str:
    """Remaining time as [hours:]minutes:seconds, extrapolated from the fraction done."""
    if fraction_done <= 0:
        return "?"
    seconds = round(run_seconds * (1 - fraction_done) / fraction_done)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds >= 3600 else (
        f"{seconds // 60}:{seconds % 60:02d}")  # fmt: skip
