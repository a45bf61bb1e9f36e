"""Memory cache of pictures at their working size, so that only the first epoch decodes (`disk.py`: on disk).

A cache never changes a result: a picture that it lacks is made from the original file.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Protocol

import numpy as np

from obverse.imaging import Pixels


class PixelCache(Protocol):
    """Cache of pictures by slot, which is the sample's index times the number of views, plus the view's index."""

    @property
    def has_most(self) -> bool:
        """Whether the pixels of most pictures are here, so that few are decoded."""
        ...

    def get(self, slot: int, make: Callable[[], Pixels]) -> Pixels:
        """The picture in `slot`, else what `make` returns; the caller must not change it in place."""
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
        """Pickling without content: a worker that is not forked starts with an empty cache."""
        return MemoryCache, (len(self._ready), self._pictures.shape[1:])

    @property
    def has_most(self) -> bool:
        """Whether more than half of the slots are filled."""
        return bool(2 * np.count_nonzero(self._ready) > len(self._ready))

    def get(self, slot: int, make: Callable[[], Pixels]) -> Pixels:
        """The picture in `slot`, made on first use."""
        if not self._ready[slot]:
            self._pictures[slot] = make()
            self._ready[slot] = 1
        picture: Pixels = self._pictures[slot]
        return picture
