"""Inference over all batches of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from obverse.data import Batch
from obverse.runtime import ALONE, Process, unsharded_order

from .engine import Engine
from .outputs import Outputs


def run_engine(
    engine: Engine,
    batches: Iterable[Batch],
    *,
    each_view: bool = False,
    embeddings: bool = True,
    process: Process = ALONE,
) -> Outputs:
    """Outputs for all valid samples of `batches`.

    each_view: also outputs for every view alone, when there are several. The backbones run once per picture either way.
    process: this rank of the processes that share the batches. The main process gets all rows, in manifest order; the
    other ranks get no rows.
    """
    counts: list[int] = []

    def parts() -> Iterator[Outputs]:
        for batch in batches:
            engine.needs.require(batch)
            outputs = engine.outputs(batch, each_view=each_view, embeddings=embeddings)
            valid = np.flatnonzero(batch.valid_B.cpu().numpy()).tolist()
            counts.append(len(valid))
            yield outputs.rows(valid)

    mine = Outputs.joined(parts())
    return mine if process.is_alone else _of_all_ranks(process, counts, mine)


def _of_all_ranks(process: Process, counts: list[int], mine: Outputs) -> Outputs:
    """All ranks' rows, gathered on the main process in their order before sharding. counts: rows of each batch."""
    shares = process.gather((counts, mine))
    if not process.is_main:
        return mine.rows([])
    order = unsharded_order([counts for counts, _ in shares])
    return Outputs.joined([outputs for _, outputs in shares]).rows(order)
