"""Rows of an array block by block, so that work in double precision takes the memory of a block."""

from __future__ import annotations

from collections.abc import Iterator

# Numbers of 8 bytes that one array of a block may hold: 2 MB, of which the work holds a few at a time. Larger blocks
# leave the processor's caches, and are slower.
MOST_VALUES = 2**18


def row_blocks(num_rows: int, values_per_row: int) -> Iterator[slice]:
    """Slices that cover all rows, in order; one that is empty where there are none.

    values_per_row: numbers that the largest array of the work has for each row.
    """
    size = max(1, MOST_VALUES // max(1, values_per_row))
    return (slice(start, start + size) for start in range(0, max(1, num_rows), size))
