"""Training pictures that a server shows beside its answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from obverse.evaluation import Thumbnails
from obverse.report import Picture

from .refusals import Refusal

# Requests for thumbnails that wait; further ones are refused at once.
MOST_WAITING = 64


class TrainingPictures:
    """Thumbnails of the training samples among which similar ones are looked for, by their number.

    Each sample is decoded once, when it is first asked for, and one at a time; all thumbnails together are a few
    thousand at most (`experiment.training_embeddings`). All methods belong to one event loop.
    """

    def __init__(self, ids: Sequence[str], read: Thumbnails) -> None:
        """ids: names of the samples. read: thumbnails of the sample of a number."""
        self._numbers = {name: number for number, name in enumerate(ids)}
        self._read, self._num_waiting, self._one = read, 0, threading.Lock()
        self._kept: dict[int, tuple[Picture, ...]] = {}

    def number(self, name: str) -> int:
        """Number of a sample."""
        return self._numbers[name]

    async def pictures(self, number: str) -> tuple[Picture, ...]:
        """Thumbnails of a sample's views. number: as a client sent it. Refusal: not-found, overloaded."""
        if not (number.isascii() and number.isdecimal() and len(number) < 10 and int(number) < len(self._numbers)):
            raise Refusal("not-found", "there is no training picture of that number")
        if self._num_waiting >= MOST_WAITING:
            raise Refusal("overloaded", "too many requests are waiting")
        self._num_waiting += 1
        try:
            return await asyncio.to_thread(self._decoded, int(number))
        finally:
            self._num_waiting -= 1

    def _decoded(self, number: int) -> tuple[Picture, ...]:
        with self._one:
            if number not in self._kept:
                self._kept[number] = self._read(number)
            return self._kept[number]
