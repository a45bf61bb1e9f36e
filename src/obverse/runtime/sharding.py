"""Which samples of a batch a rank takes: as many steps on every rank as in one process, and the same samples in each.

Pairs stay together, because mixing pairs the neighbours of a batch. Every rank gets equally many places; those that
are added to make it so carry a false mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, islice
from typing import TypeVar

Place = TypeVar("Place")

UNIT = 2


def deal(batch: Sequence[Place], *, rank: int, world_size: int) -> list[tuple[Place, bool]]:
    """(place, valid) for one rank: pairs are dealt in turn; padded places repeat the first and are not valid."""
    shares = [
        [p for start in range(UNIT * other, len(batch), UNIT * world_size) for p in batch[start : start + UNIT]]
        for other in range(world_size)
    ]
    mine = shares[rank]
    padding = max(map(len, shares)) - len(mine)
    return [(place, True) for place in mine] + [(batch[0], False)] * padding


def dealt_order(counts: Sequence[Sequence[int]]) -> list[int]:
    """Undo `deal`: for the valid samples of all ranks, one rank after the other, their places in the first order.

    counts: for each rank, how many valid samples it got of each batch.
    """
    ends = list(accumulate(map(sum, counts)))
    places = [iter(range(end - sum(share), end)) for share, end in zip(counts, ends, strict=True)]
    order: list[int] = []
    for batch in zip(*counts, strict=True):
        for start in range(0, max(batch), UNIT):
            for rank, count in enumerate(batch):
                order += islice(places[rank], max(0, min(UNIT, count - start)))
    return order
