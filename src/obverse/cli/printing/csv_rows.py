"""Rows of CSV on stdout, safe for a terminal, and if asked for, for a spreadsheet."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

Spreadsheet = Annotated[
    bool, typer.Option("--spreadsheet", help="In csv, put ' before text that begins with = + - @ (no formulas).")
]


class CsvRows:
    """Writer of CSV rows to stdout, flushed after each row."""

    def __init__(self, *, spreadsheet: bool = False) -> None:
        self._spreadsheet = spreadsheet

    def write(self, cells: Iterable[str | float | None]) -> None:
        """One row, as files of results have it."""
        from obverse.inference import csv_line

        sys.stdout.write(csv_line(cells, spreadsheet=self._spreadsheet))
        sys.stdout.flush()
