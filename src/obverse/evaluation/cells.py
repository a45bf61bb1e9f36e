"""Cells of the CSV files of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from obverse.metrics import FloatArray


def with_columns(rows: Sequence[Sequence[object]], columns: Mapping[str, FloatArray]) -> Iterable[Sequence[object]]:
    """The rows with further columns; a cell is empty where the score is not defined for that class."""
    header, *body = rows
    yield *header, *columns
    cells = [["" if np.isnan(value) else value for value in column.tolist()] for column in columns.values()]
    yield from ((*row, *more) for row, *more in zip(body, *cells, strict=True))
