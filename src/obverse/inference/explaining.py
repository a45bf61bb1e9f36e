"""Pictures that a user hands in, explained by a trained model."""

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
    """One picture file per sample in `out`, numbered in the order of `inputs`; what was drawn, one after another.

    columns: as `Predictor.predict` takes them.
    """
    require_free(out)
    predictor = load(model, device=device)
    engine = predictor.engine
    assert isinstance(engine, TorchEngine), "a bundle holds the network itself"
    batches = predictor.batches(inputs, 1, columns=columns)
    # What cannot be read is refused before maps of an earlier time go.
    batches = chain(list(islice(batches, 1)), batches)
    with explained(out, "try --device cpu"):
        maps = MapFolder(out, predictor.classes, predictor.bundle.kind, tile=TILE)
        try:
            for row, batch in enumerate(batches):
                for explanation in explain(engine, batch, predictor.views):
                    yield maps.add(row, explanation)
        finally:  # what is drawn is listed, so that the folder can be used again
            maps.close()
