"""Conversion of JSON and Parquet values to cells of a table, in which a missing value is empty.

Programs write integers as floats (`3.0`) when the column has missing values. They become integers again where the
column has missing values or other integers, so that a class does not get two names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Spellings of pandas' missing values after conversion to text.
NOTHING = frozenset({"<NA>", "NaT"})


def is_nothing(value: Any) -> bool:
    """Whether the value is missing: null, NaN (which is unequal to itself), or pandas' NaT and NA."""
    if value is None:
        return True
    if isinstance(value, str):
        return value in NOTHING
    return isinstance(value, float) and value != value


def is_of_whole_numbers(values: Iterable[Any]) -> bool:
    """Whether the floats of a column are integers, turned into floats by missing values or another notation."""
    has_hole = has_fraction = has_whole = False
    for value in values:
        if is_nothing(value):
            has_hole = True
        elif isinstance(value, float):
            has_fraction = True
            if not value.is_integer():
                return False
        elif isinstance(value, int) and not isinstance(value, bool):
            has_whole = True
        else:
            return False
    return has_fraction and (has_hole or has_whole)


def plain(value: Any, *, is_whole: bool = False) -> Any:
    """The value, or None where it is missing. is_whole: whether its column `is_of_whole_numbers`."""
    if is_nothing(value):
        return None
    return int(value) if is_whole and isinstance(value, float) else value
