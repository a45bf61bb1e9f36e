"""A table as a source: `label, split, group, <view>...`, one row per sample; and a prepared manifest, which is one.

A column is a view when the user names it, when it is a known view word or a word for a picture, or when its cells end
like picture files. Any other column is kept as an extra. Paths are relative to the table's folder.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence

from obverse.errors import DataError
from obverse.manifest.label_sets import SEPARATOR, described
from obverse.manifest.manifest import LABEL_RANK, RESERVED, SET_RESERVED
from obverse.manifest.names import composed
from obverse.manifest.sample import SPLITS, Finding, Sample
from obverse.manifest.store import parse_locator, remote_url
from obverse.recipe import DataSpec

from .class_names import in_one_form
from .label_cells import LabelCells, find_label, looks_like_sets
from .listing import Listing, is_picture_name
from .rows import SET_WORDS, Row, Table, is_table_name, read_rows
from .tree import Tree
from .words import SPLIT_WORDS, VIEW_WORDS

LABEL_WORDS = ("label", "class", "grade")
PICTURE_WORDS = ("image", "picture", "path", "file", "filename", "file_name")
CHECKED, PREPARED = "check.json", "-manifest.csv"
ANY = DataSpec()
OWN = {*RESERVED, LABEL_RANK}
KNOWN_VIEWS = {word for words in VIEW_WORDS for word in words} | set(PICTURE_WORDS)


def tables_near_top(tree: Tree) -> list[str]:
    """Without those that `check` and `prepare` write into the folder they are called in, unless there are no others."""
    names = [name for name in tree.others if is_table_name(name)]
    return [name for name in names if not is_ours(name)] or names


def is_ours(name: str) -> bool:
    """Whether the file is called like what `check` and `prepare` write."""
    return posixpath.basename(name) == CHECKED or name.endswith(PREPARED)


def find_table(tree: Tree, layout: str) -> str:
    """The only table near the top; DataError when there is none or more than one."""
    names = tables_near_top(tree)
    if len(names) != 1:
        which = f"the tables {', '.join(names[:5])}; give the one that is meant as DATA" if names else f"no {layout}"
        raise DataError(f"{tree.shown} holds {which}, and data.layout is `{layout}`; a table ends in .csv, .jsonl, "
                        ".json or .parquet")  # fmt: skip
    return names[0]


def read_table(
    tree: Tree, name: str, *, views: Sequence[str] | None = None, layout: str = "auto", spec: DataSpec = ANY
) -> Listing:
    """Read a table; DataError names the line of a bad row. spec: how its labels are said."""
    table, told = read_rows(tree, name), tree.told(name)
    rows, columns = table.rows, list(table.rows[0])
    is_manifest = tuple(columns[: len(RESERVED)]) in (RESERVED, SET_RESERVED) and layout != "table"
    if layout == "manifest" and not is_manifest:
        raise DataError(f"{told} is no prepared manifest: its columns do not begin with {','.join(RESERVED)}")
    cells = _manifest_labels(columns, spec, told) if is_manifest else label_cells(table, spec, told)
    names = tuple(views) if views is not None else view_columns(rows, [c for c in columns if c not in cells.columns])
    absent = [view for view in names if view not in columns]
    if absent or not names:
        wanted = f"no column `{absent[0]}`" if absent else "no column with picture files"
        raise DataError(f"{told}: {wanted}; the columns are {', '.join(columns)}")
    base = posixpath.dirname(name)

    def place(cell: str) -> str:
        return cell_locator(tree, base, cell) if not is_manifest else cell if "::" in cell else tree.spelled(cell)

    own = {column.lower(): column for column in reversed(columns) if column.lower() in OWN}
    samples = []
    for line, row in enumerate(rows, 2):
        pictures = {view: place(row[view].strip()) for view in names if row[view].strip()}
        samples.append(_sample(row, f"{told}, row {line}", cells, pictures, own))
    found, joined = in_one_form(samples)
    labels = found.labels
    findings = [*tree.findings, *joined, *_check(told, samples, names, multi_label=cells.multi_label)]
    findings += [] if cells.multi_label else looks_like_sets(labels)
    kind = "a prepared manifest" if is_manifest else "a table"
    seen = described(labels) if cells.multi_label else f"{len(set(labels))} classes in `{cells.columns[0]}`"
    said = f"{kind} with the views {', '.join(names)}: {seen}, {len(rows)} rows"
    listing = Listing(tree.root, found, names, said, "table", findings, keeps_missing_views=True)
    listing.multi_label = cells.multi_label
    if is_manifest:
        listing.layout, listing.order = "manifest", _ranked(told, rows, cells.columns[0])
        if names == view_columns(rows, [c for c in columns if c not in cells.columns]):  # a digest is of all of them
            listing.samples = found.with_columns(digests=(row["digest"] or None for row in rows))
    return listing


def label_cells(table: Table, spec: DataSpec, told: str) -> LabelCells:
    """How the rows say their classes; DataError when no column does."""
    columns = list(table.rows[0])
    single = [column for word in LABEL_WORDS for column in columns if column.lower() == word]
    cells = find_label(columns, single, table.lists, spec, told)
    if cells is None:
        several = next((column for column in columns if column.lower() in SET_WORDS), None)
        hint = f"; if `{several}` holds several classes per row: data.labels=multi" if several else ""
        raise DataError(f"{told}: no column `label`; the columns are {', '.join(columns)}{hint}")
    return cells


def _manifest_labels(columns: Sequence[str], spec: DataSpec, told: str) -> LabelCells:
    """A manifest says itself what its labels are."""
    if spec.label_columns or spec.label_separator != SEPARATOR:
        raise DataError(f"{told} is a prepared manifest, which says its labels itself; leave out data.label_columns "
                        "and data.label_separator")  # fmt: skip
    is_set = columns[1] == SET_RESERVED[1]
    return LabelCells((columns[1],), is_set, SEPARATOR if is_set else None)


def view_columns(rows: Sequence[Row], columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of pictures, by their names or the endings of their cells."""

    def is_view(column: str) -> bool:
        cells = [row[column] for row in rows[:100] if row[column]]
        return column.lower() in KNOWN_VIEWS or (bool(cells) and all(map(_is_picture, cells)))

    own = (*RESERVED, LABEL_RANK)
    return tuple(column for column in columns if column.lower() not in own and is_view(column))


def _is_picture(cell: str) -> bool:
    return is_picture_name(cell) or bool(parse_locator(cell)[1])


def cell_locator(tree: Tree, base: str, cell: str) -> str:
    """What a user wrote, as a locator: mostly a path relative to the table; a locator stays one."""
    if os.path.isabs(cell) or remote_url(cell):
        return cell
    path = posixpath.normpath(posixpath.join(base, cell)) if base or tree.archive else cell
    is_plain = not parse_locator(cell)[1] or (tree.archive is None and os.path.lexists(tree.root / path))
    return tree.locator(tree.found(path, cell, base)) if is_plain else path


def _sample(row: Row, where: str, cells: LabelCells, views: dict[str, str], own: Mapping[str, str]) -> Sample:
    """own: the columns called `id`, `split`, `group` ..., by that word."""

    def cell(word: str) -> str:
        return row[own[word]] if word in own else ""

    split = cell("split").strip().lower()
    if split and split not in SPLIT_WORDS:
        raise DataError(f"{where}: the split `{split}` is none of {', '.join(SPLITS)}")
    used = {*own.values(), *views, *cells.columns}
    return Sample(
        id=cell("id") or "|".join(row[view].strip() for view in views),
        label=cells.label(row, where),
        views=views,
        split=SPLIT_WORDS.get(split),
        group=cell("group") or None,
        extra={name: value for name, value in row.items() if name not in used},
    )


def _check(path: str, samples: Sequence[Sample], views: tuple[str, ...], *, multi_label: bool) -> list[Finding]:
    seen: set[str] = set()
    for line, sample in enumerate(samples, 2):
        if not sample.label and not multi_label:
            raise DataError(f"{path}, row {line}: the label is empty")
        if not sample.views:
            raise DataError(f"{path}, row {line}: no picture in {', '.join(views)}")
        if sample.id in seen:
            raise DataError(f"{path}, row {line}: the sample `{sample.id}` occurs twice; give the rows distinct ids")
        seen.add(sample.id)
    missing = sum(1 for sample in samples if len(sample.views) < len(views))
    return [Finding("note", "missing-view", f"{missing} row(s) lack a view")] if missing else []


def _ranked(path: str, rows: Sequence[Row], label: str) -> tuple[str, ...] | None:
    """The classes in the order that a prepared manifest gives them, when it gives one."""
    if LABEL_RANK not in rows[0]:
        return None
    rank_of: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        name, cell = composed(row[label].strip()), row[LABEL_RANK].strip()
        if not cell.isdecimal() or rank_of.setdefault(name, int(cell)) != int(cell):
            raise DataError(
                f"{path}, row {line}: `{LABEL_RANK}` is {cell!r}; give class {name!r} one number everywhere"
            )
    if len(set(rank_of.values())) < len(rank_of):
        raise DataError(f"{path}: two classes have the same `{LABEL_RANK}`")
    return tuple(sorted(rank_of, key=rank_of.__getitem__))
