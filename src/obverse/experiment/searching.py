"""The pictures of a folder that are nearest to given ones, by a trained model's encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.evaluation import Outputs, run_model
from obverse.explain import nearest
from obverse.inference import Predictor, load
from obverse.inference.inputs import Cell, Input
from obverse.runs.failures import explained

BATCH_SIZE = 16


@dataclass(frozen=True)
class Neighbours:
    """found: (id, cosine), the nearest first."""

    id: str
    found: tuple[tuple[str, float], ...]


def search(
    model: Path,
    queries: Input | Sequence[Input],
    among: Sequence[Path],
    *,
    top_k: int = 5,
    columns: Mapping[str, Cell] | None = None,
    device: str = "auto",
) -> list[Neighbours]:
    """For each query the `top_k` nearest samples of `among`; a query that is among them does not find itself.

    columns: of the queries, as `Predictor.predict` takes them; of those that are searched they are missing.
    """
    predictor = load(model, device=device)
    with explained(Path(), "try --device cpu"):
        asked = _embedded(predictor, queries, columns)
        there = _embedded(predictor, list(among))
    rows, cosines = nearest(asked.embeddings_ND, there.embeddings_ND, top_k + 1)
    result = []
    for name, row, values in zip(asked.ids, rows.tolist(), cosines.tolist(), strict=True):
        pairs = [(there.ids[place], value) for place, value in zip(row, values, strict=True)]
        result.append(Neighbours(name, tuple(pair for pair in pairs if pair[0] != name)[:top_k]))
    return result


def _embedded(
    predictor: Predictor, inputs: Input | Sequence[Input], columns: Mapping[str, Cell] | None = None
) -> Outputs:
    batches = predictor.batches(inputs, BATCH_SIZE, columns=columns)
    return run_model(predictor.classifier, predictor.forward, batches)
