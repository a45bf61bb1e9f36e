"""Event log with one JSON object per line: epochs, checkpoints, messages, the end; steps at most once a second."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from obverse.errors import OutputError
from obverse.runs.events import Event, StepEnd

STEP_SECONDS = 1.0


class JsonlObserver:
    """Writer of `events.jsonl`. A resumed run appends to the same file, after removing an incomplete last line."""

    def __init__(self, path: Path) -> None:
        if path.is_fifo():  # to open it would wait for a reader
            raise OutputError(f"{str(path)!r} is a pipe, not a file; remove it")
        if path.is_file():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        self._file = path.open("a", encoding="utf-8")
        self._last_step = float("-inf")

    def notify(self, event: Event) -> None:
        """Write one line."""
        if isinstance(event, StepEnd):
            if time.monotonic() - self._last_step < STEP_SECONDS:
                return
            self._last_step = time.monotonic()
        self._file.write(json.dumps({"event": type(event).__name__, **asdict(event)}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
