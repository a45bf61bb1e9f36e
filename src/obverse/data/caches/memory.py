"""Pictures at their working size, kept so that only the first epoch decodes. Here: in memory; `disk_cache.py`: on disk.

A cache never changes a result: what it lacks is made from the original.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Protocol

import numpy as np

from obverse.imaging import Pixels


class PixelCache(Protocol):
    """Slot -> picture; a slot is a sample's place times the number of views, plus the view's."""

    def get(self, slot: int, make: Callable[[], Pixels]) -> Pixels:
        """The picture in `slot`, or what `make` gives; the caller must not change it in place."""
        ...


class MemoryCache:
    """`num_slots` uint8 pictures of one shape (height, width, 3) in memory that worker processes share.

    One anonymous shared mapping, filled by whichever worker comes first; every writer of a slot writes the same bytes,
    so a race costs time and never changes a result.
    """

    def __init__(self, num_slots: int, shape: tuple[int, int, int]) -> None:
        slot_bytes = shape[0] * shape[1] * shape[2]
        # An anonymous mapping is inherited by forked workers and, unlike /dev/shm, has no small limit in containers.
        memory = np.frombuffer(mmap.mmap(-1, num_slots * (slot_bytes + 1)), np.uint8)
        self._ready = memory[:num_slots]
        self._pictures = memory[num_slots:].reshape(num_slots, *shape)

    def __reduce__(self) -> tuple[type[MemoryCache], tuple[int, tuple[int, ...]]]:
        """A worker that is not forked has its own, empty one."""
        return MemoryCache, (len(self._ready), self._pictures.shape[1:])

    def get(self, slot: int, make: Callable[[], Pixels]) -> Pixels:
        """Made on first use."""
        if not self._ready[slot]:
            self._pictures[slot] = make()
            self._ready[slot] = 1
        picture: Pixels = self._pictures[slot]
        return picture
