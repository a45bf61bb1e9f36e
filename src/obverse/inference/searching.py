"""Similarity search: the pictures whose embeddings by a trained model are nearest to those of given pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from obverse.engines import run_engine
from obverse.explain import nearest
from obverse.runs import explained

from . import Predictor, load
from .requests import Cell, Input, Request

BATCH_SIZE = 16


@dataclass(frozen=True)
class Neighbours:
    """Result of a search for one query."""

    id: str
    """Name of the query."""

    matches: tuple[tuple[str, float], ...]
    """(id, cosine similarity) of the nearest samples, nearest first."""


def search(
    model: Path,
    queries: Input | Sequence[Input],
    among: Sequence[Path],
    *,
    top_k: int = 5,
    columns: Mapping[str, Cell] | None = None,
    device: str = "auto",
) -> list[Neighbours]:
    """The `top_k` nearest samples of `among` for each query.

    A query does not match its own file. A file that is given several times matches once, however its path is spelled. A
    copy is another file and matches.

    columns: extra columns of the queries, see `Predictor.predict`; those of the searched samples are missing.
    """
    predictor = load(model, device=device)
    with explained(Path(), "try --device cpu"):
        asked = predictor.requests(queries, columns)
        there = list({request.identity: request for request in reversed(predictor.requests(list(among)))}.values())[
            ::-1
        ]
        asked_QD, there_ND = (_embedded(predictor, requests) for requests in (asked, there))
    rows, cosines = nearest(asked_QD, there_ND, top_k + 1)
    result = []
    for query, row, values in zip(asked, rows.tolist(), cosines.tolist(), strict=True):
        pairs = [(there[place], value) for place, value in zip(row, values, strict=True)]
        others = [(sample.id, value) for sample, value in pairs if sample.identity != query.identity]
        result.append(Neighbours(query.id, tuple(others[:top_k])))
    return result


def _embedded(predictor: Predictor, requests: Sequence[Request]) -> npt.NDArray[np.float32]:
    batches = predictor.batches_of(requests, BATCH_SIZE)
    return run_engine(predictor.engine, batches).embeddings_ND
