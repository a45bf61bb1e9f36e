"""Tables as rows of text: CSV, JSON lines, a JSON list of objects, or the plain columns of a Parquet file."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from obverse.errors import DataError
from obverse.manifest.label_sets import joined
from obverse.manifest.store import open_parquet, read_columns

from .tree import Tree

TABLE_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
# Columns whose cells may be lists or several classes.
SET_WORDS = ("labels", "label", "classes", "class", "tags")
Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """Every cell as text, all rows with the same keys. lists: columns whose cells were lists, now joined label sets."""

    rows: list[Row]
    lists: frozenset[str] = frozenset()


def is_table_name(name: str) -> bool:
    """Whether the file name ends like a table's."""
    return name.lower().endswith(TABLE_SUFFIXES)


def read_rows(tree: Tree, name: str) -> Table:
    """The rows of a table; DataError says what is wrong where."""
    suffix = name.lower().rpartition(".")[2]
    table = {"csv": _csv_rows, "json": _json_rows, "parquet": _parquet_rows}.get(suffix, _json_lines)(tree, name)
    if not table.rows:
        raise DataError(f"{tree.told(name)} has no rows; expected the columns `label,<view>...` and one row per sample")
    return table


def _csv_rows(tree: Tree, name: str) -> Table:
    try:
        text = tree.read(name).decode("utf-8-sig", "surrogateescape" if _is_manifest(tree, name) else "strict")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header, rows = next(reader, []), list(filter(None, reader))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{tree.told(name)} cannot be read as a UTF-8 CSV table: {error}") from None
    if len(set(header)) < len(header):
        raise DataError(f"{tree.told(name)}: a column name occurs twice in {', '.join(header)}")
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise DataError(f"{tree.told(name)}, row {line}: has another number of cells than the header")
    return Table([dict(zip(header, row, strict=True)) for row in rows])


def _is_manifest(tree: Tree, name: str) -> bool:
    """Ours may hold file names that are no UTF-8."""
    return (
        tree.file(name).read_at(0, 32).startswith((b"id,label,split,group,digest,", b"id,labels,split,group,digest,"))
    )


def _json_rows(tree: Tree, name: str) -> Table:
    values = parse_json(tree.read(name), tree.told(name))
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DataError(f"{tree.told(name)}: expected a JSON list of objects, one per sample")
    return _even(values, tree.told(name))


def _json_lines(tree: Tree, name: str) -> Table:
    lines = [(number, line) for number, line in enumerate(tree.read(name).splitlines(), 1) if line.strip()]
    values = [parse_json(line, f"{tree.told(name)}, line {number}") for number, line in lines]
    for (number, _), value in zip(lines, values, strict=True):
        if not isinstance(value, dict):
            raise DataError(f"{tree.told(name)}, line {number}: expected a JSON object")
    return _even(values, tree.told(name))


def _parquet_rows(tree: Tree, name: str) -> Table:
    blob = tree.file(name)
    kinds = open_parquet(blob).columns
    columns = [column for column, kind in kinds.items() if kind == "value" or (kind == "list" and _may_be_sets(column))]
    return _even(read_columns(blob, columns), tree.told(name))


def parse_json(data: bytes, where: str) -> Any:
    """The JSON value in `data`; DataError names `where`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON: {error}") from None


def _even(values: list[dict[str, Any]], told: str) -> Table:
    """Every row with every key, in the order in which they appear; a missing or null value is an empty cell."""
    keys = dict.fromkeys(key for value in values for key in value)
    lists = frozenset(key for value in values for key, cell in value.items() if isinstance(cell, list))
    rows = []
    for number, value in enumerate(values, 1):
        where = f"{told}, row {number}"
        rows.append({key: _cell(value.get(key), key, where, is_list=key in lists) for key in keys})
    return Table(rows, lists)


def _cell(value: Any, key: str, where: str, *, is_list: bool) -> str:
    if not is_list and not isinstance(value, dict):
        return "" if value is None else str(value)
    if not _may_be_sets(key) or isinstance(value, dict):
        raise DataError(f"{where}: `{key}` must be text or a number")
    if not isinstance(value, list):
        raise DataError(f"{where}: `{key}` is a list in other rows and {value!r} here; write [] for no class")
    if any(isinstance(name, (dict, list)) or name is None for name in value):
        raise DataError(f"{where}: `{key}` must be a list of class names")
    return joined(map(str, value), where)


def _may_be_sets(column: str) -> bool:
    return column.lower() in SET_WORDS
