"""A clock for the training loop: pictures, time, and how much of it was spent waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterator

from obverse.data import Batch


class Meter:
    """Time and pictures since the epoch's start in this process, and how much of it was spent waiting for data."""

    def __init__(self) -> None:
        self.pictures = 0
        self.seconds = 0.0
        self.data_seconds = 0.0
        self._mark = time.perf_counter()

    def waits(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches through and time the waiting."""
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
        """What has passed since the last lap belongs to no lap."""
        self._mark = time.perf_counter()
