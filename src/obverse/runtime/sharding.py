"""Which samples a rank takes. Every rank gets equally many; what is added to make it so carries a false mask."""

from __future__ import annotations

from collections.abc import Sequence


def shard(indices: Sequence[int], *, rank: int, world_size: int) -> list[tuple[int, bool]]:
    """(index, valid) for one rank, dealt in turn; padded places repeat the first index and are not valid."""
    padded_length = -(-len(indices) // world_size) * world_size
    padded = [(index, True) for index in indices] + [(indices[0], False)] * (padded_length - len(indices))
    return padded[rank::world_size]
