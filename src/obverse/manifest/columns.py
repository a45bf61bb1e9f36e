"""Numeric encoding of extra columns (year, mint, variety), which are inputs of the model besides the pictures.

The encoding of a column is fitted on the training samples alone and stored in the bundle. Any value may be missing. A
category that does not occur in training counts as missing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import replace

from obverse.errors import DataError
from obverse.recipe import ColumnKind, did_you_mean

from .manifest import LABEL_RANK, RESERVED, Column, Manifest
from .samples import Samples

MISSING = 0.0
"""The code of an unknown category; known categories count from 1."""


def fit_columns(manifest: Manifest, kinds: Mapping[str, ColumnKind]) -> Manifest:
    """The manifest with its columns fitted: categories, mean and std of the training samples."""
    train = manifest.split("train")
    return replace(manifest, columns=tuple(_fit(train, name, kind) for name, kind in kinds.items()))


def require_columns(samples: Samples, kinds: Mapping[str, ColumnKind]) -> None:
    """DataError when a column does not exist, is the label itself, or holds a cell that is no number."""
    for name, kind in kinds.items():
        if name == LABEL_RANK:
            raise DataError(f"data.columns: `{LABEL_RANK}` is the label itself; leave it out")
        if name not in samples.extra:
            known = [column for column in samples.extra if column not in (*RESERVED, LABEL_RANK)]
            raise DataError(f"data.columns: the data has no extra column `{name}`{did_you_mean(name, known)}; "
                            f"it has {', '.join(known) or 'none'}")  # fmt: skip
        pairs = zip(samples.ids, samples.extra[name], strict=True)
        for sample, cell in pairs if kind == "number" else ():
            if cell:
                _number(name, cell, sample)


def require_known(manifest: Manifest) -> None:
    """DataError when a column has no value in any training sample."""
    for column in manifest.columns:
        if not any(manifest.split("train").extra[column.name]):
            raise DataError(f"data.columns: `{column.name}` has no value in any training sample; leave it out")


def encode(column: Column, cell: str | None, sample: str) -> float:
    """Code of a cell: the category's index counted from 1, or the standardised number.

    An empty cell gives MISSING for a category and NaN for a number. DataError, naming `sample`, when a number column's
    cell is no number.
    """
    if column.kind == "category":
        return column.code.get(cell or "", MISSING)
    value = _number(column.name, cell, sample) if cell else math.nan
    return (value - column.mean) / column.std


def missing_code(column: Column) -> float:
    """The code of a missing value."""
    return MISSING if column.kind == "category" else math.nan


def _fit(train: Samples, name: str, kind: ColumnKind) -> Column:
    cells = [cell for cell in train.extra.get(name, ()) if cell]
    if kind == "category":
        return Column(name, kind, values=tuple(sorted(set(cells))))
    pairs = zip(train.ids, train.extra.get(name, ()), strict=False)
    values = [value for sample, cell in pairs if cell and not math.isnan(value := _number(name, cell, sample))]
    if not values:
        return Column(name, kind)
    mean = math.fsum(values) / len(values)
    # 1 where all values are equal, to avoid a division by zero.
    return Column(name, kind, mean=mean, std=statistics.pstdev(values, mean) or 1.0)


def _number(name: str, cell: str, sample: str) -> float:
    """The number in a cell. NaN is accepted, because some tables write missing values as `nan`; infinity is not."""
    try:
        value = float(cell)
        if not math.isinf(value):
            return value
    except ValueError:
        pass
    raise DataError(f"{sample!r}: `{name}` is {cell!r}, which is no number; leave it empty where it is not known, or "
                    f"say data.columns.{name}=category")  # fmt: skip
