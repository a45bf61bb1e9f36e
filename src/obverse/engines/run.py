"""An engine over a split, once."""

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
    """What the engine says of `batches`; samples with a false mask are left out.

    each_view: also what every view alone says, when there are several. The backbones run once per picture either way.
    process: this one of those that share the batches; the main one gets all rows, in manifest order, the others none.
    """
    parts = []
    for batch in batches:
        engine.needs.require(batch)
        outputs = engine.outputs(batch, each_view=each_view, embeddings=embeddings)
        parts.append(outputs.rows(np.flatnonzero(batch.valid_B.cpu().numpy()).tolist()))
    return _of_all_ranks(process, parts)


def _of_all_ranks(process: Process, parts: list[Outputs]) -> Outputs:
    """Every rank's rows, put back into the order before sharding; parts: batch by batch."""
    mine = Outputs.joined(parts)
    if process.is_alone:
        return mine
    shares = process.gather(([len(part.ids) for part in parts], mine))
    if not process.is_main:
        return mine.rows([])
    order = unsharded_order([counts for counts, _ in shares])
    return Outputs.joined([outputs for _, outputs in shares]).rows(order)
