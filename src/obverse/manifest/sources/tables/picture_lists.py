"""Lists of pictures for prediction, from a table or a text file, without labels."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import DataError
from obverse.files import read_text
from obverse.manifest.sources.folders.tree import data_root, open_tree
from obverse.manifest.sources.run_folder import read_run_folder, run_folder_of
from obverse.manifest.store import name_locator, remote_url

from .places import Places
from .rows import TABLE_SUFFIXES, read_rows
from .table import views_of

TEXT_SUFFIX = ".txt"
LIST_SUFFIXES = (*TABLE_SUFFIXES, TEXT_SUFFIX)


@dataclass(frozen=True)
class ListedRow:
    """A row of a picture list."""

    name: str
    """The row's id, else its picture cells, else its place in the file."""

    pictures: Mapping[str, str]
    """Picture column -> locator, without empty cells."""

    cells: Mapping[str, str]
    """Any other column -> cell."""


@dataclass(frozen=True)
class PictureList:
    """A list of pictures to predict."""

    root: Path
    """Folder that locators are relative to."""

    columns: tuple[str, ...]
    """Columns that contain pictures."""

    rows: tuple[ListedRow, ...]


def read_picture_list(path: Path) -> PictureList:
    """The list in a CSV, JSON or Parquet table, a run's manifest, or a text file of one path per line.

    DataError when the file is none of these.
    """
    if path.suffix.lower() == TEXT_SUFFIX:
        return _read_lines(path)
    run = run_folder_of(path)
    if run is not None:
        listing = read_run_folder(run)
        rows = (ListedRow(sample.id, sample.views, sample.extra) for sample in listing.samples)
        return PictureList(listing.root, listing.views, tuple(rows))
    tree = open_tree(path, data_root(path))
    table = read_rows(tree, path.name)
    places = Places(tree)
    columns = tuple(views_of(table.rows, list(table.rows[0]), None, places).values())
    if not columns:
        raise DataError(f"{str(path)!r}: no column with picture files; the columns are {', '.join(table.rows[0])}")
    rows_of = []
    for number, row in zip(table.numbers, table.rows, strict=True):
        given = {column: row[column].strip() for column in columns if row[column].strip()}
        name = row.get("id", "").strip() or " + ".join(given.values()) or f"{path}, row {number}"
        pictures = {column: places.locator(cell) for column, cell in given.items()}
        rows_of.append(ListedRow(name, pictures, {key: cell for key, cell in row.items() if key not in columns}))
    return PictureList(tree.root, columns, tuple(rows_of))


def _read_lines(path: Path) -> PictureList:
    """The list in a text file of one path per line, relative to the file, or else to the working directory."""
    try:
        text = read_text(path).removeprefix("\ufeff")
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} cannot be read as a UTF-8 list of one path per line: {error}") from None
    rows = []
    for line in filter(None, map(str.strip, text.splitlines())):
        beside = posixpath.join(path.parent.as_posix(), line)
        place = beside if os.path.lexists(beside) or not os.path.lexists(line) else line
        locator = line if remote_url(line) else name_locator(os.path.abspath(place))
        rows.append(ListedRow(line, {"image": locator}, {}))
    if not rows:
        raise DataError(f"{str(path)!r} names no pictures; write one path per line")
    return PictureList(path.parent, ("image",), tuple(rows))
