"""Explanation maps of a trained model for pictures given by a user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

from obverse.engines import TorchEngine
from obverse.explain import Drawn, MapFolder, explain, require_free
from obverse.runs import explained

from . import load
from .inputs import Cell, Input

TILE = 448


def explain_pictures(
    model: Path,
    inputs: Input | Sequence[Input],
    out: Path,
    *,
    columns: Mapping[str, Cell] | None = None,
    device: str = "auto",
) -> Iterator[Drawn]:
    """Yield a description of each map, after writing one picture file per sample to `out`, in the order of `inputs`.

    columns: see `Predictor.predict`.

    DataError when an input cannot be used.
    """
    require_free(out)
    predictor = load(model, device=device)
    engine = predictor.engine
    assert isinstance(engine, TorchEngine), "a bundle holds the network itself"
    batches = predictor.batches(inputs, 1, columns=columns)
    # The first batch is read now, so that unreadable inputs raise before maps of an earlier call are deleted.
    batches = chain(list(islice(batches, 1)), batches)
    with explained(out, "try --device cpu"):
        maps = MapFolder(out, predictor.classes, predictor.bundle.kind, tile=TILE)
        try:
            for row, batch in enumerate(batches):
                for explanation in explain(engine, batch, predictor.views):
                    yield maps.add(row, explanation)
        finally:  # list the maps drawn so far, so that the folder is recognised and can be reused
            maps.close()
