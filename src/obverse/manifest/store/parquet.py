"""Reader of Parquet files, with pictures as Hugging Face data sets store them. The only module that imports pyarrow.

A Parquet file is read by row groups. The most recent groups are cached within a limit, so reading in order costs one
pass, and reading at random costs one group per picture.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections import Counter, OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

from obverse.errors import DataError

from .blob import Blob, BlobFile

CACHED_BYTES = 128 * 2**20


@dataclass(frozen=True)
class ParquetInfo:
    """Content of a Parquet file's footer."""

    columns: dict[str, str]
    """Column -> kind: bytes, picture (a struct of bytes and path), list, value or nested."""

    starts: tuple[int, ...]
    """First row of each row group, then the number of rows."""

    class_names: dict[str, tuple[str, ...]]
    """Column -> names of its integer labels, from the schema."""

    metadata: Any
    """pyarrow's FileMetaData."""

    fractions: frozenset[str] = frozenset()
    """Columns of floats."""

    @property
    def num_rows(self) -> int:
        """Rows in the file."""
        return self.starts[-1]

    @property
    def picture_columns(self) -> list[str]:
        """Columns that hold pictures: bytes, or a struct of bytes and path."""
        return [name for name, kind in self.columns.items() if kind in ("bytes", "picture")]


@lru_cache(maxsize=256)
def open_parquet(blob: Blob) -> ParquetInfo:
    """Content of the footer; DataError when the blob is no Parquet file."""
    file = _file(blob)
    schema, metadata = file.schema_arrow, file.metadata
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(f"{blob.title}: the column `{twice[0]}` occurs twice; rename one of them")
    starts = [0]
    for group in range(metadata.num_row_groups):
        starts.append(starts[-1] + metadata.row_group(group).num_rows)
    columns = {field.name: _kind(field.type) for field in schema}
    fractions = frozenset(field.name for field in schema if _is_fraction(field.type))
    return ParquetInfo(columns, tuple(starts), _class_names(schema.metadata or {}), metadata, fractions)


def read_columns(blob: Blob, columns: list[str]) -> list[dict[str, Any]]:
    """All rows, as dicts of the given columns with Python values; DataError when they cannot be read."""
    try:
        table = _file(blob, open_parquet(blob).metadata).read(columns=columns, use_threads=False)
        rows: list[dict[str, Any]] = table.to_pylist()
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{blob.title} cannot be read as Parquet: {error}") from None
    return rows


def read_cell(blob: Blob, step: str) -> Any:
    """The cell at `step`, which is `row,column`. A picture is its bytes, or a dict of `bytes` and `path`.

    DataError when there is no such cell.
    """
    number, _, column = step.partition(",")
    info = open_parquet(blob)
    if not number.isdecimal() or int(number) >= info.num_rows or column not in info.columns:
        raise DataError(f"{blob.title} has no row {number} with a column {column!r}")
    group = bisect_right(info.starts, int(number)) - 1
    return _GROUPS.get(blob, group, column)[int(number) - info.starts[group]].as_py()


def rows_with_picture(blob: Blob, column: str) -> list[bool] | None:
    """For each row, whether the cell contains bytes or a path; None if the footer shows that all do."""
    info = open_parquet(blob)
    num_groups = len(info.starts) - 1
    if all(_has_no_nulls(info.metadata.row_group(group), column) for group in range(num_groups)):
        return None
    has_picture: list[bool] = []
    for group in range(num_groups):
        cells = _GROUPS.get(blob, group, column).combine_chunks()
        valid = cells.is_valid().to_pylist()
        if info.columns[column] == "picture":
            parts = [cells.field(name).is_valid().to_pylist() for name in ("bytes", "path")]
            valid = [here and any(either) for here, *either in zip(valid, *parts, strict=True)]
        has_picture += valid
    return has_picture


def _has_no_nulls(group: Any, column: str) -> bool:
    leaf = next((part for part in map(group.column, range(group.num_columns))
                 if part.path_in_schema in (column, f"{column}.bytes")), None)  # fmt: skip
    statistics = leaf.statistics if leaf is not None else None
    return statistics is not None and bool(statistics.has_null_count) and statistics.null_count == 0


class _GroupCache:
    """Cache of the most recently read column groups, up to CACHED_BYTES."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Empty the cache and replace its lock, which another thread may have held when this process was forked."""
        self._columns: OrderedDict[tuple[Blob, int, str], Any] = OrderedDict()
        self._lock = Lock()

    def get(self, blob: Blob, group: int, column: str) -> Any:
        key = (blob, group, column)
        with self._lock:
            if key in self._columns:
                self._columns.move_to_end(key)
                return self._columns[key]
        try:
            file = _file(blob, open_parquet(blob).metadata)
            read = file.read_row_group(group, columns=[column], use_threads=False).column(column)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{blob.title} cannot be read as Parquet: {error}") from None
        with self._lock:
            self._columns[key] = read
            while len(self._columns) > 1 and sum(kept.nbytes for kept in self._columns.values()) > CACHED_BYTES:
                self._columns.popitem(last=False)
        return read


_GROUPS = _GroupCache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GROUPS.clear)


def _file(blob: Blob, metadata: Any = None) -> Any:
    import pyarrow.parquet

    try:
        # No threads: those of the parent do not exist in a forked worker.
        return pyarrow.parquet.ParquetFile(BlobFile(blob), metadata=metadata, pre_buffer=False)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{blob.title} is no Parquet file, or it is damaged or cut short: {error}") from None


def _is_fraction(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind))


def _kind(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "bytes"
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}:
        return "picture"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "nested" if pa.types.is_nested(kind.value_type) else "list"
    return "nested" if pa.types.is_nested(kind) else "value"


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Column -> names of its integers or of those in its lists, which the library `datasets` writes into the schema."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        plain = {name: feature for name, feature in features.items() if isinstance(feature, dict)}
        each = {name: feature.get("feature", feature) for name, feature in plain.items()}
        return {name: tuple(map(str, feature["names"])) for name, feature in each.items() if "names" in feature}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
