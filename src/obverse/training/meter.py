"""Throughput meter of the training loop: pictures, wall time, and time spent waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterator

from obverse.data import Batch


class Meter:
    """Pictures, wall time and data-waiting time since the start of the epoch in this process."""

    def __init__(self) -> None:
        self.pictures = 0
        self.seconds = 0.0
        self.data_seconds = 0.0
        self._mark = time.perf_counter()

    def waits(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the time spent waiting for each added up."""
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.data_seconds += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def lap(self, *, pictures: int) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        passed, self._mark = now - self._mark, now
        self.pictures += pictures
        self.seconds += passed
        return passed

    def skip(self) -> None:
        """Exclude the time since the last lap."""
        self._mark = time.perf_counter()
