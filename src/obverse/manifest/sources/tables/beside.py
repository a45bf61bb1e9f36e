"""Choice of the label tables beside folders of pictures.

A table is used when its rows name the pictures, unless its labels equal the folders. A table that names pictures but is
not used gives a finding.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from obverse.errors import DataError
from obverse.manifest.names import composed
from obverse.manifest.sample import Finding
from obverse.manifest.samples import Samples
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.folders.words import are_parts, split_word
from obverse.manifest.sources.listing import Listing
from obverse.manifest.sources.places import take_apart
from obverse.recipe import DataSpec

from .lookup import in_doubt
from .places import Places
from .rows import Table, read_rows
from .table import KNOWN_VIEWS, NAME_WORDS, is_ours, label_cells, read_table, tables_near_top, view_columns

# A table is meant for the pictures if at least this fraction of its rows name one, or of the pictures are named by one.
NAMING_SHARE = 0.9
# Number of rows that are tried to find the columns of pictures.
NUM_TRIED_ROWS = 200
SAME = "the folders say the same"
MAX_TABLES = 20
# Only the head of a file larger than LARGE_BYTES is read first, because tables of pixels or features are very large.
LARGE_BYTES, HEAD_BYTES = 2**23, 2**18


@dataclass(frozen=True)
class NamingTable:
    """A table whose rows name pictures of the tree, even if several pictures match a name."""

    name: str
    """Name of the table's file in the tree."""

    columns: tuple[str, ...] = ()
    """Columns that name pictures."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Picture -> label; empty without a label column."""

    is_meant: bool = False
    """Whether at least NAMING_SHARE of the rows or of the pictures match."""

    reason: str | None = None
    """Why the table cannot be used; None if it can."""


@dataclass(frozen=True)
class Choice:
    """Choice of label tables."""

    tables: tuple[NamingTable, ...] = ()
    """Tables to read; empty if the folders give the labels."""

    findings: tuple[Finding, ...] = ()
    """Findings about the tables that are not read."""


def choose_tables(tree: Tree, spec: DataSpec) -> Choice:
    """The tables near the top that label the pictures in folders, with findings about tables that are not used.

    DataError when several tables label the same pictures, or when the folders are parts of one set whose table cannot
    be used.
    """
    names = [name for name in tables_near_top(tree) if not is_ours(name)]
    tried = [_naming(tree, name, spec) for name in names] if len(names) <= MAX_TABLES else []
    naming = [table for table in tried if table is not None]
    folders = _folder_classes(tree)
    usable = [table for table in naming if table.is_meant and table.reason is None]
    # The sample submission of a competition has a label column as well, with placeholder labels.
    usable = [table for table in usable if "submission" not in table.name.lower()] or usable
    reason = _folders_first(usable, folders) if spec.layout == "auto" and not _is_asked(spec) else None
    if reason is not None:
        return Choice(findings=tuple(_unused(table, reason) for table in usable))
    if _overlap(usable):
        listed = ", ".join(table.name for table in usable[:5])
        raise DataError(f"{tree.title} holds the tables {listed}; give the one that is meant as DATA: each says labels "
                        "of the same pictures (or data.layout=class-folders)")  # fmt: skip
    others = [table for table in naming if table not in usable]
    if not usable and spec.layout == "auto" and any(table.columns for table in others) and are_parts(folders.values()):
        raise DataError(f"the folders in {tree.title} look like parts of one set, and the table that names their "
                        f"pictures cannot be used: {others[0].reason}; if they are classes: data.layout=class-folders"
                        )  # fmt: skip
    return Choice(tuple(usable), tuple(_unused(table, table.reason) for table in others))


def read_chosen(tree: Tree, choice: Choice, spec: DataSpec) -> Listing:
    """The listing of all chosen tables, with splits from the tables' names or the pictures' folders."""
    listings = [_read(tree, table, spec, is_one_of_several=len(choice.tables) > 1) for table in choice.tables]
    first = listings[0]
    if len(listings) > 1:
        if any(listing.views != first.views or listing.multi_label != first.multi_label for listing in listings):
            listed = ", ".join(table.name for table in choice.tables[:5])
            raise DataError(f"{tree.title}: the tables {listed} have different columns; give one as DATA")
        first.samples = _joined(listings, choice)
        first.findings = [*tree.findings, *(f for x in listings for f in x.findings if f not in tree.findings)]
        num_classes = len({sample.label for sample in first.samples})
        first.summary = f"tables: {num_classes} classes, {len(first.samples)} rows"
    names = ", ".join(table.name for table in choice.tables)
    first.summary = f"{names} beside the pictures, {first.summary}"
    first.samples = _with_folder_splits(tree, Samples.of(first.samples))
    first.findings += [*choice.findings, *_unnamed(tree, first)]
    return first


def _joined(listings: Sequence[Listing], choice: Choice) -> Samples:
    """The samples of all tables; equal ids are prefixed by the table's folder or name."""
    ids = [sample_id for listing in listings for sample_id in Samples.of(listing.samples).ids]
    if len(set(ids)) == len(ids):
        return Samples.of(sample for listing in listings for sample in listing.samples)
    folders = [posixpath.dirname(table.name) for table in choice.tables]
    if len(set(folders)) < len(folders):
        folders = [posixpath.splitext(table.name)[0] for table in choice.tables]
    return Samples.of(
        replace(sample, id=posixpath.join(folder, sample.id))
        for folder, listing in zip(folders, listings, strict=True)
        for sample in listing.samples
    )


def _naming(tree: Tree, name: str, spec: DataSpec) -> NamingTable | None:
    """The table if some column names pictures; None for any other file."""
    try:
        if not _is_likely(tree, name):
            return None
        table = read_rows(tree, name, spec)
        base = Places(tree, posixpath.dirname(name), spec.image_root).top
    except DataError as error:
        return None if name.lower().endswith(".json") else NamingTable(name, reason=str(error))
    rows = table.rows
    columns = _naming_columns(tree, table, base, spec)
    if not columns:
        return None
    meant = [tree.lookup.all(row[columns[0]].strip(), base) if row[columns[0]].strip() else [] for row in rows]
    pictures = [several[0] if len(several) == 1 else None for several in meant]
    named = {picture for picture in pictures if picture is not None}
    num_rows = sum(1 for row in rows if row[columns[0]].strip())
    share = max(len(named) / num_rows, len(named) / len(tree.lookup.paths))
    naming = NamingTable(name, columns, is_meant=share >= NAMING_SHARE)
    if not naming.is_meant:
        doubts = (in_doubt(row[columns[0]].strip(), of) for row, of in zip(rows, meant, strict=True) if len(of) > 1)
        return replace(naming, reason=next(doubts, f"{len(named)} of its {len(rows)} rows name one"))
    try:
        cells = label_cells(table, spec, tree.title_of(name))
        labels = {picture: cells.label(row, name) for picture, row in zip(pictures, rows, strict=True) if picture}
    except DataError as error:
        return replace(naming, reason=str(error))
    return replace(naming, labels=labels)


def _is_likely(tree: Tree, name: str) -> bool:
    """Whether to read a file: it is small, or its first cells name a picture."""
    file = tree.file(name)
    if file.size <= LARGE_BYTES or name.lower().endswith(".parquet"):
        return True
    head = file.read_at(0, HEAD_BYTES)
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
    cells = filter(None, map(str.strip, re.split(r'[",;\t\r\n]+', text)))
    return any(_meaning(tree, cell, "", numbers=False) for cell in cells)


def _naming_columns(tree: Tree, table: Table, base: str, spec: DataSpec) -> tuple[str, ...]:
    """The columns of pictures: those given by the recipe or named like picture columns, else all whose cells match.

    A cell matches if it names exactly one picture. Of several columns that name the same pictures the first counts. If
    no column matches, the first one whose cells name several pictures each is taken.
    """
    names = list(table.rows[0])
    is_given = spec.views != "auto" and not spec.tiles
    known = tuple(spec.views) if is_given else view_columns(table.rows, names)
    tried = table.rows[:: max(1, len(table.rows) // NUM_TRIED_ROWS)]
    sure: dict[tuple[tuple[str, ...], ...], str] = {}
    doubtful: dict[tuple[tuple[str, ...], ...], str] = {}
    for column in known or names:
        cells = [row.get(column, "").strip() for row in tried]
        numbers = bool(known) or column.lower() in NAME_WORDS
        meant = tuple(_meaning(tree, cell, base, numbers=numbers) for cell in cells)
        num_cells = sum(map(bool, cells))
        if known or 2 * len({several for several in meant if len(several) == 1}) > num_cells > 0:
            sure.setdefault(meant, column)
        elif 2 * len({several for several in meant if several}) > num_cells > 0:
            doubtful.setdefault(meant, column)
    columns_by_meaning = sure or dict(list(doubtful.items())[:1])
    named = any(several for meant in columns_by_meaning for several in meant)
    return tuple(columns_by_meaning.values()) if named and set(known) <= {*names} else ()


def _meaning(tree: Tree, cell: str, base: str, *, numbers: bool) -> tuple[str, ...]:
    """The pictures that match a cell.

    numbers: whether a plain number may match several pictures. In a column that is not known to name pictures it may
    not, because a number may count anything (`0,cat` beside `cat/0.jpg` and `dog/0.jpg`).
    """
    several = tuple(tree.lookup.all(cell, base)) if cell else ()
    return several if len(several) < 2 or numbers or not cell.isdecimal() else ()


def _folder_classes(tree: Tree) -> dict[str, str]:
    """Picture -> class, according to the folders alone."""
    try:
        places = take_apart(tree.folders, [], tree.title).places
    except DataError:
        return {}
    return {path: place.label for place in places if place.parts for path in place.pictures}


def _agree(labels: Mapping[str, str], folders: Mapping[str, str]) -> bool:
    """Whether the classes of the table and of the folders correspond one to one."""
    pairs = {(composed(label), folders.get(picture, "")) for picture, label in labels.items()}
    return len(pairs) > 1 and len(pairs) == len({label for label, _ in pairs}) == len({name for _, name in pairs})


def _others(tables: Sequence[NamingTable], folders: Mapping[str, str]) -> set[str]:
    """Folder classes of the pictures that no table names; empty if the tables name more than half of all pictures."""
    named = {picture for table in tables for picture in table.labels}
    others = [label for picture, label in folders.items() if picture not in named]
    return set(others) if tables and 2 * len(others) >= len(folders) else set()


def _is_asked(spec: DataSpec) -> bool:
    """Whether the recipe has settings that apply only to tables."""
    return bool(spec.label_columns or spec.label_column or spec.image_root) or spec.labels == "multi"


def _folders_first(usable: Sequence[NamingTable], folders: Mapping[str, str]) -> str | None:
    """The reason to take labels from folders instead of usable tables; None where the tables are used."""
    if any(_agree(table.labels, folders) for table in usable):
        return SAME
    if len(_others(usable, folders)) > 1 and not are_parts(folders.values()):
        return "most of the pictures in class folders are in no row"
    return None


def _overlap(tables: Sequence[NamingTable]) -> bool:
    pictures = [picture for table in tables for picture in table.labels]
    return len(set(pictures)) < len(pictures)


def _unused(table: NamingTable, reason: str | None) -> Finding:
    if not table.columns:
        return Finding("note", "unused-table", f"{table.name} beside the pictures is not used: {reason}")
    severity = "note" if reason == SAME else "warning"
    message = f"the table {table.name} names pictures and is not used: {reason}; to use it, give it as DATA"
    return Finding(severity, "unused-table", message)


def _read(tree: Tree, table: NamingTable, spec: DataSpec, *, is_one_of_several: bool) -> Listing:
    """The listing of one table. A single picture column that is no view word (`image_id`) becomes the view `image`."""
    listing = read_table(tree, table.name, views=table.columns, layout=spec.layout, spec=spec)
    split = (split_word(posixpath.splitext(posixpath.basename(table.name))[0]) or (None,))[0]
    samples = Samples.of(listing.samples)
    if split and is_one_of_several and not any(samples.splits):
        samples = samples.with_columns(splits=[split] * len(samples))
    if len(listing.views) == 1 and listing.views[0].lower() not in KNOWN_VIEWS and spec.views == "auto":
        samples = replace(samples, views={"image": samples.views[listing.views[0]]})
        listing.views = ("image",)
    listing.samples = samples
    return listing


def _with_folder_splits(tree: Tree, samples: Samples) -> Samples:
    """The samples with the splits of their folders, where no table states splits."""
    if any(samples.splits):
        return samples
    places = take_apart(tree.folders, [], tree.title).places
    split_of = {tree.locator(path): place.split for place in places for path in place.pictures if place.split}
    rows = zip(*samples.views.values(), strict=True)
    splits = [next((split_of.get(path) for path in row if path), None) for row in rows]
    return samples.with_columns(splits=splits) if len(set(splits)) > 1 else samples


def _unnamed(tree: Tree, listing: Listing) -> list[Finding]:
    """Finding for pictures that no row names."""
    known = set(Samples.of(listing.samples).paths())
    paths = tuple(path for folder in tree.folders for path in folder.pictures if tree.locator(path) not in known)
    if not paths:
        return []
    return [Finding("warning", "not-in-table", f"{len(paths)} picture(s) are in no row and are left out", paths)]
