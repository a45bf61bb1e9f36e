"""Reader of tables as rows of text: CSV, JSON lines, a JSON list of objects, or plain columns of a Parquet file."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from obverse.errors import DataError
from obverse.manifest.label_sets import joined
from obverse.manifest.sample import Finding
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.store import open_parquet, read_columns
from obverse.recipe import DataSpec

from .delimited import read_delimited
from .values import is_nothing, is_of_whole_numbers, plain

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
SPREADSHEET_SUFFIXES = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
# Columns whose cells may be lists or several classes.
SET_WORDS = ("labels", "label", "classes", "class", "tags")
Row = dict[str, str]
ANY = DataSpec()


@dataclass(frozen=True)
class Table:
    """A table with all cells as text."""

    rows: list[Row]
    """Rows as column -> cell, all with the same columns."""

    numbers: Sequence[int]
    """Number of each row in the file, for messages."""

    lists: frozenset[str] = frozenset()
    """Columns whose cells were lists, now label sets as text."""

    findings: tuple[Finding, ...] = ()
    """Findings about the file, such as a guessed encoding."""


def is_table_name(name: str) -> bool:
    """Whether the file name has the ending of a table."""
    return name.lower().endswith(TABLE_SUFFIXES)


def require_no_spreadsheet(names: Sequence[str], title: str) -> None:
    """DataError when one of the files is a spreadsheet, which is not supported."""
    sheets = [name for name in names if name.lower().endswith(SPREADSHEET_SUFFIXES)]
    if sheets:
        raise DataError(f"{title}: {sheets[0]!r} is a spreadsheet, which is not read; save the sheet as CSV UTF-8 and "
                        "give that file as DATA")  # fmt: skip


def read_rows(tree: Tree, name: str, spec: DataSpec = ANY) -> Table:
    """The table in the file `name` of the tree. spec: gives its encoding and its label column.

    DataError, naming the row, when the table is faulty or empty.
    """
    suffix = name.lower().rpartition(".")[2]
    sets = frozenset({*SET_WORDS, (spec.label_column or SET_WORDS[0]).lower()})
    if suffix in ("csv", "tsv"):
        table = _text_rows(tree, name, spec.table_encoding)
    else:
        table = {"json": _json_rows, "parquet": _parquet_rows}.get(suffix, _json_lines)(tree, name, sets)
    if not table.rows:
        raise DataError(
            f"{tree.title_of(name)} has no rows; expected the columns `label,<view>...` and one row per sample"
        )
    return table


def _text_rows(tree: Tree, name: str, encoding: str | None) -> Table:
    delimited = read_delimited(
        tree.read(name), tree.title_of(name), encoding=encoding, is_exact=_is_manifest(tree, name)
    )
    findings: tuple[Finding, ...] = ()
    if delimited.encoding is not None:
        cell = next((cell for row in delimited.rows for cell in row if not cell.isascii()), delimited.header[0])
        message = (
            f"{name} is no UTF-8 and is read as Windows-1252, which gives for example {cell!r}; if that is wrong, save "
            "it as CSV UTF-8, or say what it is, for example data.table_encoding=gbk"
        )
        findings = (Finding("warning", "table-encoding", message),)
    rows = [dict(zip(delimited.header, row, strict=True)) for row in delimited.rows]
    return Table(rows, delimited.numbers, findings=findings)


def _is_manifest(tree: Tree, name: str) -> bool:
    """Whether the file is a manifest of Obverse, which may contain file names that are no UTF-8."""
    return (
        tree.file(name).read_at(0, 32).startswith((b"id,label,split,group,digest,", b"id,labels,split,group,digest,"))
    )


def _json_rows(tree: Tree, name: str, sets: Collection[str]) -> Table:
    values = parse_json(tree.read(name), tree.title_of(name))
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DataError(f"{tree.title_of(name)}: expected a JSON list of objects, one per sample")
    return _even(values, tree.title_of(name), sets)


def _json_lines(tree: Tree, name: str, sets: Collection[str]) -> Table:
    lines = [(number, line) for number, line in enumerate(tree.read(name).splitlines(), 1) if line.strip()]
    values = [parse_json(line, f"{tree.title_of(name)}, line {number}") for number, line in lines]
    for (number, _), value in zip(lines, values, strict=True):
        if not isinstance(value, dict):
            raise DataError(f"{tree.title_of(name)}, line {number}: expected a JSON object")
    return _even(values, tree.title_of(name), sets)


def _parquet_rows(tree: Tree, name: str, sets: Collection[str]) -> Table:
    blob = tree.file(name)
    kinds = open_parquet(blob).columns
    columns = [
        column for column, kind in kinds.items() if kind == "value" or (kind == "list" and column.lower() in sets)
    ]
    return _even(read_columns(blob, columns), tree.title_of(name), sets)


def parse_json(data: bytes, where: str) -> Any:
    """The JSON value in `data`; DataError names `where`."""
    try:
        return json.loads(data, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError when a key occurs twice, because one of the values would be lost."""
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(f"the key `{twice}` occurs twice in an object")
    return value


def _even(values: list[dict[str, Any]], title: str, sets: Collection[str]) -> Table:
    """The table of some objects, with every key in every row, in order of first appearance.

    A missing value becomes an empty cell. sets: see `_joined`.
    """
    keys = dict.fromkeys(key for value in values for key in value)
    lists = frozenset(key for value in values for key, cell in value.items() if isinstance(cell, list))
    whole = {key for key in keys if is_of_whole_numbers(value.get(key) for value in values)}
    rows = []
    for number, value in enumerate(values, 1):
        where = f"{title}, row {number}"
        cells = {key: plain(value.get(key), is_whole=key in whole) for key in keys}
        for key in lists:
            cells[key] = _joined(cells[key], key, where, sets)
        rows.append({key: _text(cell, key, where) for key, cell in cells.items()})
    return Table(rows, range(1, len(rows) + 1), lists)


def _text(value: Any, key: str, where: str) -> str:
    if isinstance(value, dict):
        raise DataError(f"{where}: `{key}` must be text or a number")
    return "" if value is None else str(value)


def _joined(value: Any, key: str, where: str, sets: Collection[str]) -> str:
    """A list of classes as a label set in text. sets: columns that may contain lists, in lower case."""
    if key.lower() not in sets:
        raise DataError(f"{where}: `{key}` must be text or a number")
    if not isinstance(value, list):
        raise DataError(f"{where}: `{key}` is a list in other rows and {value!r} here; write [] for no class")
    if any(isinstance(name, (dict, list)) or is_nothing(name) for name in value):
        raise DataError(f"{where}: `{key}` must be a list of class names")
    return joined(map(str, value), where)
