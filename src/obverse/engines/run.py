"""Inference over all batches of a split."""

from __future__ import annotations

from collections.abc import Iterable

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
    parts = []
    for batch in batches:
        engine.needs.require(batch)
        outputs = engine.outputs(batch, each_view=each_view, embeddings=embeddings)
        parts.append(outputs.rows(np.flatnonzero(batch.valid_B.cpu().numpy()).tolist()))
    return _of_all_ranks(process, parts)


def _of_all_ranks(process: Process, parts: list[Outputs]) -> Outputs:
    """All ranks' rows, gathered on the main process in their order before sharding. parts: one per batch."""
    mine = Outputs.joined(parts)
    if process.is_alone:
        return mine
    shares = process.gather(([len(part.ids) for part in parts], mine))
    if not process.is_main:
        return mine.rows([])
    order = unsharded_order([counts for counts, _ in shares])
    return Outputs.joined([outputs for _, outputs in shares]).rows(order)
