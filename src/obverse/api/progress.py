"""A progress bar for Python callers: drawn by a notebook or on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from types import TracebackType
from typing import Any
from uuid import uuid4

from obverse.runs import Event, Message, StepEnd
from obverse.terminal import is_terminal, num_columns

REFRESH_SECONDS = 0.2
TERMINAL_BAR = 24
# Draws a bar: the fraction done and a text; None clears it.
Draw = Callable[[float | None, str], None]


class ProgressBar:
    """Observer of a run that draws one bar, first for reading pictures and then for training.

    messages: the run's messages to the user, in order, which are stored and not printed.
    """

    def __init__(self, is_wanted: bool = True) -> None:
        self.messages: list[str] = []
        self._draw = _drawer() if is_wanted else None
        self._last = -REFRESH_SECONDS

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def pictures(self, done: int, total: int) -> None:
        """Show how many pictures have been read."""
        self._show(done / max(1, total), f"reading pictures {done:,}/{total:,}")

    def features(self, done: int, total: int) -> None:
        """Show of how many samples features have been computed."""
        self._show(done / max(1, total), f"features {done:,}/{total:,}")

    def notify(self, event: Event) -> None:
        """Show a step; keep a message."""
        if isinstance(event, Message):
            self.messages.append(event.text)
        elif isinstance(event, StepEnd):
            text = f"epoch {event.epoch}, step {event.batch}/{event.num_batches}, loss {event.epoch_loss:.3f}"
            self._show(event.fraction_done, text)

    def close(self) -> None:
        """Clear the bar."""
        if self._draw is not None and self._last > 0:
            self._draw(None, "")

    def _show(self, fraction: float, text: str) -> None:
        now = time.monotonic()
        if self._draw is not None and now - self._last >= REFRESH_SECONDS:
            self._last = now
            self._draw(fraction, text)


def _drawer() -> Draw | None:
    """The function that draws a bar in this process; None outside notebooks and terminals."""
    shell = _notebook_shell()
    if shell is not None:
        return _notebook_drawer(shell)
    return _draw_on_terminal if is_terminal(sys.stderr) else None


def _notebook_shell() -> Any:
    """The shell of a notebook's kernel; None elsewhere, also in IPython on a terminal.

    Every notebook has loaded IPython already, so IPython is looked up among loaded modules and is no dependency.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def _notebook_drawer(shell: Any) -> Draw:
    # A display that is published again under the same id replaces the first: no widget extension is needed.
    display_id, updates = uuid4().hex, [False]

    def draw(fraction: float | None, text: str) -> None:
        bar = "" if fraction is None else f'<progress value="{fraction:.4f}" max="1"></progress> {escape(text)}'
        data = {"text/html": bar, "text/plain": text}
        shell.display_pub.publish(data=data, transient={"display_id": display_id}, update=updates[0])
        updates[0] = True

    return draw


def _draw_on_terminal(fraction: float | None, text: str) -> None:
    line = ""
    if fraction is not None:
        num_full = round(TERMINAL_BAR * fraction)
        # The last column stays free, because a cursor there would wrap to the next line.
        line = f"[{'#' * num_full}{'-' * (TERMINAL_BAR - num_full)}] {text}"[: num_columns(sys.stderr) - 1]
    sys.stderr.write(f"\r\x1b[2K{line}")
    sys.stderr.flush()
