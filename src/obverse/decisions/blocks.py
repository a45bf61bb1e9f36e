"""Rows of an array block by block, so that work in double precision takes the memory of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

# Numbers of 8 bytes that one array of a block may hold: 2 MB, of which the work holds a few at a time. Larger blocks
# leave the processor's caches, and are slower.
MOST_VALUES = 2**18


def row_blocks(num_rows: int, values_per_row: int) -> Iterator[slice]:
    """Slices that cover all rows, in order; one that is empty where there are none.

    values_per_row: numbers that the largest array of the work has for each row.
    """
    size = max(1, MOST_VALUES // max(1, values_per_row))
    return (slice(start, start + size) for start in range(0, max(1, num_rows), size))


def in_blocks(compute: Callable[[slice], torch.Tensor], num_rows: int, values_per_row: int) -> torch.Tensor:
    """What `compute` returns for the rows of each block (n, ..), in one tensor (N, ..).

    values_per_row: see `row_blocks`.
    Results are copied at once. Kept one by one, they would lie between the blocks that were freed, and malloc could not
    use those again: 70 MB for 43,000 samples of 500 classes.
    """
    blocks = row_blocks(num_rows, values_per_row)
    first = compute(next(blocks))
    whole = first.new_empty((num_rows, *first.shape[1:]))
    whole[: len(first)] = first
    for rows in blocks:
        whole[rows] = compute(rows)
    return whole
