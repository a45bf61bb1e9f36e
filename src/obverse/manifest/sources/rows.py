"""Tables as rows of text: CSV, JSON lines, a JSON list of objects, or the plain columns of a Parquet file."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from obverse.errors import DataError
from obverse.manifest.store import open_parquet, read_columns

from .tree import Tree

TABLE_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
Row = dict[str, str]


def is_table_name(name: str) -> bool:
    """Whether the file name ends like a table's."""
    return name.lower().endswith(TABLE_SUFFIXES)


def read_rows(tree: Tree, name: str) -> list[Row]:
    """The rows of a table, every cell as text, all with the same keys; DataError says what is wrong where."""
    suffix = name.lower().rpartition(".")[2]
    rows = {"csv": _csv_rows, "json": _json_rows, "parquet": _parquet_rows}.get(suffix, _json_lines)(tree, name)
    if not rows:
        raise DataError(f"{tree.told(name)} has no rows; expected the columns `label,<view>...` and one row per sample")
    return rows


def _csv_rows(tree: Tree, name: str) -> list[Row]:
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
    return [dict(zip(header, row, strict=True)) for row in rows]


def _is_manifest(tree: Tree, name: str) -> bool:
    """Ours may hold file names that are no UTF-8."""
    return tree.file(name).read_at(0, 32).startswith(b"id,label,split,group,digest,")


def _json_rows(tree: Tree, name: str) -> list[Row]:
    values = parse_json(tree.read(name), tree.told(name))
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DataError(f"{tree.told(name)}: expected a JSON list of objects, one per sample")
    return _even(values, tree.told(name))


def _json_lines(tree: Tree, name: str) -> list[Row]:
    lines = [(number, line) for number, line in enumerate(tree.read(name).splitlines(), 1) if line.strip()]
    values = [parse_json(line, f"{tree.told(name)}, line {number}") for number, line in lines]
    for (number, _), value in zip(lines, values, strict=True):
        if not isinstance(value, dict):
            raise DataError(f"{tree.told(name)}, line {number}: expected a JSON object")
    return _even(values, tree.told(name))


def _parquet_rows(tree: Tree, name: str) -> list[Row]:
    blob = tree.file(name)
    columns = [column for column, kind in open_parquet(blob).columns.items() if kind == "value"]
    return _even(read_columns(blob, columns), tree.told(name))


def parse_json(data: bytes, where: str) -> Any:
    """The JSON value in `data`; DataError names `where`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON: {error}") from None


def _even(values: list[dict[str, Any]], told: str) -> list[Row]:
    """Every row with every key, in the order in which they appear; a missing or null value is an empty cell."""
    keys = dict.fromkeys(key for value in values for key in value)
    for number, value in enumerate(values, 1):
        for key, cell in value.items():
            if isinstance(cell, (dict, list)):
                raise DataError(f"{told}, row {number}: `{key}` must be text or a number")
    return [{key: "" if value.get(key) is None else str(value[key]) for key in keys} for value in values]
