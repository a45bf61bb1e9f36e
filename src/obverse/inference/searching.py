"""Similarity search: the pictures whose embeddings by a trained model are nearest to those of given pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from obverse.engines import run_engine
from obverse.errors import DataError
from obverse.explain import nearest
from obverse.runs import explained

from . import Predictor, load
from .requests import Cell, Failure, Input, Request, RequestOrFailure

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
    unread: Callable[[Failure], None] | None = None,
) -> list[Neighbours]:
    """The `top_k` nearest samples of `among` for each query.

    A query does not match its own file. A file that is given several times matches once, however its path is spelled. A
    copy is another file and matches.

    columns: extra columns of the queries, see `Predictor.predict`; those of the searched samples are missing.
    unread: called with every sample of `among` that cannot be read, which is left out; None: DataError for the first,
    as for a query.
    """
    predictor = load(model, device=device)
    with explained(Path(), "try --device cpu"):
        asked = predictor.requests(queries, columns)
        asked_QD = run_engine(predictor.engine, predictor.batches_of(asked, BATCH_SIZE)).embeddings_ND
        candidates = predictor.find(list(among))
        unique = {item.identity if isinstance(item, Request) else item: item for item in reversed(candidates)}
        there, there_ND = _read(predictor, [*unique.values()][::-1], unread)
    rows, cosines = nearest(asked_QD, there_ND, top_k + 1)
    result = []
    for query, row, values in zip(asked, rows.tolist(), cosines.tolist(), strict=True):
        pairs = [(there[place], value) for place, value in zip(row, values, strict=True)]
        others = [(sample.id, value) for sample, value in pairs if sample.identity != query.identity]
        result.append(Neighbours(query.id, tuple(others[:top_k])))
    return result


def _read(
    predictor: Predictor, items: Sequence[RequestOrFailure], unread: Callable[[Failure], None] | None
) -> tuple[list[Request], npt.NDArray[np.float32]]:
    """The samples that can be read, and their embeddings (N, D). DataError where none can. unread: see `search`."""
    kept: list[Request] = []
    failures: list[Failure] = []
    parts: list[npt.NDArray[np.float32]] = []
    for read in predictor.reader.batches(items, BATCH_SIZE):
        failures += read.failures.values()
        if failures and unread is None:
            raise DataError(failures[0].error)
        if read.batch is not None:
            rows = (item for place, item in enumerate(read.items) if place not in read.failures)
            kept += (item for item in rows if isinstance(item, Request))
            parts.append(run_engine(predictor.engine, [read.batch]).embeddings_ND)
    if not parts:
        why = failures[0].error if failures else "there is no picture"
        raise DataError(f"nothing to look among can be read; the first: {why}")
    for failure in failures:
        assert unread is not None, "otherwise the first failure is an error"
        unread(failure)
    return kept, np.concatenate(parts)
