"""Shards of a batch: which samples of each global batch a rank computes.

Every rank takes as many steps as one process alone would, and a step sees the same samples. Pairs stay together,
because mixup and cutmix mix the neighbours of a batch. All shards of a batch have equal length; padding has a false
mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, islice
from typing import TypeVar

Place = TypeVar("Place")

# Samples that stay together: `data/augmentation/mixing.py` mixes pairs.
UNIT = 2


def shard(batch: Sequence[Place], *, rank: int, world_size: int) -> list[tuple[Place, bool]]:
    """The shard of one rank as (place, valid): pairs go to the ranks round-robin.

    Padding repeats the first place of the batch and is not valid.
    """
    shares = [
        [p for start in range(UNIT * other, len(batch), UNIT * world_size) for p in batch[start : start + UNIT]]
        for other in range(world_size)
    ]
    mine = shares[rank]
    padding = max(map(len, shares)) - len(mine)
    return [(place, True) for place in mine] + [(batch[0], False)] * padding


def unsharded_order(counts: Sequence[Sequence[int]]) -> list[int]:
    """Inverse of `shard`: for the valid samples of all ranks, rank after rank, their places in the global batches.

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
