"""Decoded and resized pixels in memory that worker processes share, so that later epochs never decode again.

One anonymous shared mapping, filled by whichever worker comes first; every writer of a slot writes the same bytes, so a
race costs time and never changes a result. A set that does not fit is not cached.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable

import numpy as np

from obverse.imaging import Pixels


class PixelCache:
    """`num_slots` uint8 pictures of one shape (height, width, 3)."""

    def __init__(self, num_slots: int, shape: tuple[int, int, int]) -> None:
        slot_bytes = shape[0] * shape[1] * shape[2]
        # An anonymous mapping is inherited by forked workers and, unlike /dev/shm, has no small limit in containers.
        memory = np.frombuffer(mmap.mmap(-1, num_slots * (slot_bytes + 1)), np.uint8)
        self._ready = memory[:num_slots]
        self._pictures = memory[num_slots:].reshape(num_slots, *shape)

    @classmethod
    def if_it_fits(cls, num_slots: int, shape: tuple[int, int, int], *, max_bytes: float) -> PixelCache | None:
        """A cache, or None when it would need more than `max_bytes`."""
        needed = num_slots * (shape[0] * shape[1] * shape[2] + 1)
        return cls(num_slots, shape) if 0 < needed <= max_bytes else None

    def get(self, slot: int, make: Callable[[], Pixels]) -> Pixels:
        """The picture in `slot`, made on first use; the caller must not change it in place."""
        if not self._ready[slot]:
            self._pictures[slot] = make()
            self._ready[slot] = 1
        picture: Pixels = self._pictures[slot]
        return picture
