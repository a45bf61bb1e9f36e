"""Values of JSON and Parquet as the cells of a table: what stands for no value is an empty cell.

A program that had a hole in a column of whole numbers wrote fractions: `3.0` for 3. They are whole numbers again where
the column has a hole, or whole numbers beside them, so that one class does not come under two names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# How pandas spells no value where a program makes text of everything.
NOTHING = frozenset({"<NA>", "NaT"})


def is_nothing(value: Any) -> bool:
    """Whether the value stands for none: null, NaN (which is no number, not even itself), or pandas' NaT and NA."""
    if value is None:
        return True
    if isinstance(value, str):
        return value in NOTHING
    return isinstance(value, float) and value != value


def is_of_whole_numbers(values: Iterable[Any]) -> bool:
    """Whether a column's fractions are whole numbers that a hole, or another way of writing, has turned into them."""
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
    """The value, None where it stands for none. is_whole: its column `is_of_whole_numbers`."""
    if is_nothing(value):
        return None
    return int(value) if is_whole and isinstance(value, float) else value
