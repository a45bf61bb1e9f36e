"""Rows of CSV on stdout, safe for a terminal, and if asked for, for a spreadsheet."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from obverse.errors import printable

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@")
Spreadsheet = Annotated[
    bool, typer.Option("--spreadsheet", help="In csv, put ' before text that begins with = + - @ (no formulas).")
]


class CsvRows:
    """Writer of CSV rows to stdout, flushed after each row."""

    def __init__(self, *, spreadsheet: bool = False) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._spreadsheet = spreadsheet

    def write(self, cells: Iterable[str | float]) -> None:
        """One row: numbers with six places, text without what a terminal would obey."""
        self._writer.writerow([self._text(cell) if isinstance(cell, str) else f"{cell:.6f}" for cell in cells])
        sys.stdout.flush()

    def _text(self, cell: str) -> str:
        clean = printable(cell)
        return f"'{clean}" if self._spreadsheet and clean.startswith(FORMULA) else clean
