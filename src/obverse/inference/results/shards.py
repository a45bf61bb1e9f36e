"""Shards: the samples of one of several machines that share the work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from obverse.errors import RecipeError

if TYPE_CHECKING:
    from obverse.inference.requests import Requests

BATCH_SIZE = 16
_SHARD = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,8})")


def shard_of(items: Requests, part: str, *, batch_size: int = BATCH_SIZE) -> Requests:
    """The samples of a shard, a stretch of all of them; together the shards are all samples in their order.

    Shards are made of whole batches, so that every answer is to the last digit that of a single process. Where there
    are fewer batches than shards, some shards are empty.

    part: number and count of shards, such as `1/4`; empty for all samples. RecipeError for anything else.
    """
    if not part:
        return items
    match = _SHARD.fullmatch(part)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise RecipeError(f"--shard {part}: write it as NUMBER/COUNT with a number from 1 to the count, such as 1/4")
    num_batches = -(-len(items) // batch_size)
    start, end = (batch_size * (num_batches * at // count) for at in (number - 1, number))
    return items[start:end]
