"""A CSV table as a source: `label, split, group, <view>...`, one row per sample.

A column is a view when the user names it, when it is a known view word or a word for a picture, or when its cells end
like picture files. Any other column is kept as an extra. Paths are relative to the table's folder.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from obverse.errors import DataError
from obverse.manifest.manifest import RESERVED
from obverse.manifest.sample import SPLITS, Finding, Sample

from .folders import SPLIT_WORDS, VIEW_WORDS
from .listing import Listing, is_picture_name

LABEL_WORDS = ("label", "class", "grade")
PICTURE_WORDS = ("image", "picture", "path", "file", "filename")
KNOWN_VIEWS = {word for words in VIEW_WORDS for word in words} | set(PICTURE_WORDS)


def read_table(path: Path, *, views: Sequence[str] | None = None) -> Listing:
    """Read a CSV file; DataError names the line of a bad row."""
    rows = _read_rows(path)
    columns = list(rows[0])
    label = next((column for column in columns if column.lower() in LABEL_WORDS), None)
    if label is None:
        raise DataError(f"{path}: no column `label`; the columns are {', '.join(columns)}")
    names = tuple(views) if views is not None else _view_columns(rows, [c for c in columns if c != label])
    absent = [name for name in names if name not in columns]
    if absent or not names:
        wanted = f"no column `{absent[0]}`" if absent else "no column with picture files"
        raise DataError(f"{path}: {wanted}; the columns are {', '.join(columns)}")
    samples = [_sample(row, line, label, names) for line, row in enumerate(rows, 2)]
    findings = _check(path, samples, names)
    said = f"a table with the views {', '.join(names)}: {len({s.label for s in samples})} classes, {len(samples)} rows"
    return Listing(path.parent, samples, names, said, "table", findings, keeps_missing_views=True)


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="strict") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a UTF-8 CSV table: {error}") from None
    if not rows:
        raise DataError(f"{path} has no rows; expected a header `label,<view>...` and one row per sample")
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise DataError(f"{path}, row {line}: has another number of cells than the header")
    return rows


def _view_columns(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> tuple[str, ...]:
    def is_view(column: str) -> bool:
        cells = [row[column] for row in rows[:100] if row[column]]
        return column.lower() in KNOWN_VIEWS or (bool(cells) and all(map(is_picture_name, cells)))

    return tuple(column for column in columns if column.lower() not in RESERVED and is_view(column))


def _sample(row: dict[str, str], line: int, label: str, views: tuple[str, ...]) -> Sample:
    cells = {view: row[view].strip() for view in views if row[view].strip()}
    split = row.get("split", "").strip().lower()
    if split and split not in SPLIT_WORDS:
        raise DataError(f"row {line}: the split `{split}` is none of {', '.join(SPLITS)}")
    return Sample(
        id=row.get("id") or "|".join(cells.values()),
        label=row[label].strip(),
        views=cells,
        split=SPLIT_WORDS.get(split),
        group=row.get("group") or None,
        extra={k: v for k, v in row.items() if k not in RESERVED and k not in views and k != label},
    )


def _check(path: Path, samples: Sequence[Sample], views: tuple[str, ...]) -> list[Finding]:
    seen: set[str] = set()
    for line, sample in enumerate(samples, 2):
        if not sample.label:
            raise DataError(f"{path}, row {line}: the label is empty")
        if not sample.views:
            raise DataError(f"{path}, row {line}: no picture in {', '.join(views)}")
        if sample.id in seen:
            raise DataError(f"{path}, row {line}: the sample `{sample.id}` occurs twice; give the rows distinct ids")
        seen.add(sample.id)
    missing = sum(1 for sample in samples if len(sample.views) < len(views))
    return [Finding("note", "missing-view", f"{missing} row(s) lack a view")] if missing else []
