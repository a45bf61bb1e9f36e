"""Forms of a file of predictions: CSV, JSON lines, Parquet. Each is written as lines of text, one per answer.

Lines can be continued after a kill at any byte: what follows the last line feed is dropped. A Parquet file has its
index at its end and cannot be continued, so it is made of the lines when all are there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from obverse.errors import RecipeError, printable
from obverse.inference.json_form import as_json

from .rows import Answer, Cell, Rows

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@")
# Rows of a Parquet file's row group, which are in memory at a time.
GROUP_ROWS = 2**15


def csv_line(cells: Iterable[Cell], *, spreadsheet: bool = False) -> str:
    """One line of CSV: numbers with six places, text without what a terminal would obey.

    spreadsheet: whether text that a spreadsheet would take for a formula gets a quotation mark in front.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_csv_cell(cell, spreadsheet) for cell in cells])
    return line.getvalue()


def _csv_cell(cell: Cell, spreadsheet: bool) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return f"{cell:.6f}"
    clean = printable(cell)
    return f"'{clean}" if spreadsheet and clean.startswith(FORMULA) else clean


class Form(Protocol):
    """A form of a file of predictions."""

    @property
    def head(self) -> str:
        """The first line; empty where there is none."""

    def line(self, answer: Answer) -> str:
        """The line of an answer, with its line feed."""

    def error_of(self, line: str) -> str:
        """The error in a line; empty where it has an answer."""

    def finished(self, lines: Path) -> Path:
        """The file of the form, made of the file of all lines, or that file itself."""


@dataclass(frozen=True)
class CsvForm:
    """The lines of `--format csv`."""

    rows: Rows
    spreadsheet: bool = False

    @property
    def head(self) -> str:
        """The names of the columns."""
        return csv_line(self.rows.columns, spreadsheet=self.spreadsheet)

    def line(self, answer: Answer) -> str:
        """The row as CSV."""
        return csv_line(self.rows.cells(answer), spreadsheet=self.spreadsheet)

    def error_of(self, line: str) -> str:
        """The last cell."""
        return next(csv.reader([line]))[-1]

    def finished(self, lines: Path) -> Path:
        """The lines themselves."""
        return lines


@dataclass(frozen=True)
class JsonLinesForm:
    """The objects of `--format json`, one per line."""

    head: str = ""

    def line(self, answer: Answer) -> str:
        """The answer as a JSON object."""
        return json.dumps(as_json(answer)) + "\n"

    def error_of(self, line: str) -> str:
        """The member `error`."""
        return str(json.loads(line).get("error", ""))

    def finished(self, lines: Path) -> Path:
        """The lines themselves."""
        return lines


@dataclass(frozen=True)
class ParquetForm:
    """The cells of the CSV form as typed columns; its lines are JSON arrays."""

    rows: Rows
    head: str = ""

    def line(self, answer: Answer) -> str:
        """The cells as a JSON array."""
        return json.dumps(self.rows.cells(answer)) + "\n"

    def error_of(self, line: str) -> str:
        """The last cell."""
        return json.loads(line)[-1] or ""

    def finished(self, lines: Path) -> Path:
        """A Parquet file beside the lines, written a row group at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = [pa.float64() if is_number else pa.string() for is_number in self.rows.numeric]
        schema = pa.schema(list(zip(self.rows.columns, kinds, strict=True)))
        path = lines.with_suffix(".parquet")
        with pq.ParquetWriter(path, schema) as writer, lines.open(encoding="utf-8") as file:
            while group := [list(map(_storable, json.loads(line))) for line in islice(file, GROUP_ROWS)]:
                columns = [pa.array(cells, kind) for cells, kind in zip(zip(*group, strict=True), kinds, strict=True)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        return path


def _storable(cell: Any) -> Any:
    """The cell; in a name that is no UTF-8 the bytes that are none are escaped, because Parquet cannot hold them."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


SUFFIXES = (".csv", ".jsonl", ".parquet")


def form_of(path: Path, rows: Rows, *, spreadsheet: bool = False) -> Form:
    """The form that a file's ending names. RecipeError for another ending, or `spreadsheet` where it is no CSV."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise RecipeError(f"{str(path)!r}: results are written as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; "
                          "end the file's name so")  # fmt: skip
    if spreadsheet and suffix != ".csv":
        raise RecipeError(f"{str(path)!r}: only a .csv is made safe for a spreadsheet; leave --spreadsheet out")
    if suffix == ".csv":
        return CsvForm(rows, spreadsheet)
    return JsonLinesForm() if suffix == ".jsonl" else ParquetForm(rows)
