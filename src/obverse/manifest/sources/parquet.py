"""Source: Parquet files that contain the pictures, as Hugging Face data sets store them.

A picture column is binary, or a struct of `bytes` and `path`. Names of integer labels come from the schema's
`huggingface` metadata. The split of a shard is the first word of its name (`train-00000-of-00002.parquet`), or the name
of its folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from obverse.errors import DataError
from obverse.manifest.label_sets import described, joined
from obverse.manifest.manifest import RESERVED, SET_RESERVED
from obverse.manifest.sample import SPLITS, Finding, Sample
from obverse.manifest.samples import Samples, extra_names
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.folders.words import SPLIT_WORDS
from obverse.manifest.sources.tables.label_cells import LabelCells, find_label, looks_like_sets
from obverse.manifest.sources.tables.values import is_of_whole_numbers, plain
from obverse.manifest.store import add_step, open_parquet, read_columns, rows_with_picture
from obverse.recipe import DataSpec

from .listing import Listing
from .source import Source

LABEL_WORDS = ("label", "labels", "class", "grade", "target", "fine_label")


def shard_names(tree: Tree) -> list[str]:
    """Names of the Parquet files near the top of the tree."""
    return [name for name in tree.others if name.lower().endswith(".parquet")]


def is_source(tree: Tree) -> bool:
    """Whether DATA is Parquet files, outside of folders of pictures, of which the first has a column of pictures."""
    shards = shard_names(tree)
    in_folders = any(folder.parts for folder in tree.folders)
    is_shards = bool(shards) and (tree.is_single_file or not in_folders)
    return is_shards and bool(open_parquet(tree.file(shards[0])).picture_columns)


@dataclass(frozen=True)
class _Columns:
    """Roles of the columns."""

    views: dict[str, str]
    """View name -> column."""

    label: LabelCells

    paths: list[str]
    """Picture columns that also contain file names."""

    others: list[str]
    """Columns of plain values that are no labels."""

    extra: dict[str, str]
    """Column -> name of its extra column."""

    names: tuple[str, ...]
    """Names of integer labels; empty where the schema has none."""

    whole: frozenset[str] = frozenset()
    """Columns of floats that are whole numbers (`tables/values.py`)."""


def read_parquet(tree: Tree, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    """The listing of all shards; DataError when there are no pictures or labels, or when the shards' columns differ."""
    shards = shard_names(tree)
    if not shards:
        raise DataError(f"{tree.title} holds no .parquet files, and data.layout is `parquet`")
    columns = _columns(tree, shards[0], views, spec)
    columns = replace(columns, whole=_whole_numbers(tree, shards, [*columns.label.columns, *columns.others]))
    findings = list(tree.findings)
    samples = Samples.of(_samples(tree, shards, columns, findings))
    if len(set(samples.ids)) < len(samples):
        raise DataError(f"{tree.title}: two rows have the same id")
    missing = sum(1 for sample in samples if len(sample.views) < len(columns.views))
    findings += [Finding("note", "missing-view", f"{missing} row(s) lack a view")] if missing else []
    multi_label = columns.label.multi_label
    seen = described(samples.labels) if multi_label else f"{len(set(samples.labels))} classes"
    findings += [] if multi_label else looks_like_sets(samples.labels)
    summary = (f"pictures in {len(shards)} Parquet file(s), column {', '.join(columns.views.values())}, labels in "
            f"`{', '.join(columns.label.columns)}`: {seen}, {len(samples)} samples")  # fmt: skip
    listing = Listing(tree.root, samples, tuple(columns.views), summary, "parquet", findings, keeps_missing_views=True)
    listing.multi_label = multi_label
    return listing


def _columns(tree: Tree, shard: str, given: Sequence[str] | None, spec: DataSpec) -> _Columns:
    info = open_parquet(tree.file(shard))
    pictures = info.picture_columns
    if not pictures:
        raise DataError(f"{tree.title_of(shard)} holds no pictures: no column is binary or a struct of bytes and path; "
                        "for a list of files use --layout table")  # fmt: skip
    views = {"image": pictures[0]} if len(pictures) == 1 else {name: name for name in pictures}
    if given is not None and len(given) == len(pictures) == 1:
        views = {given[0]: pictures[0]}
    elif given is not None:
        absent = [name for name in given if name not in pictures]
        if absent:
            raise DataError(f"{tree.title_of(shard)} has no picture column `{absent[0]}`; it has {', '.join(pictures)}")
        views = {name: name for name in given}
    lists = [name for name, kind in info.columns.items() if kind == "list"]
    values = [name for name, kind in info.columns.items() if kind == "value"]
    readable = [*values, *lists]
    single = [name for word in LABEL_WORDS for name in readable if name.lower() == word]
    label = find_label(readable, single, lists, spec, tree.title_of(shard))
    if label is None:
        raise DataError(
            f"{tree.title_of(shard)} has no label: expected a column `label`; the columns are {', '.join(info.columns)}"
        )
    paths = [name for name in views.values() if info.columns[name] == "picture"]
    others = [name for name in values if name not in label.columns]
    own = {*(SET_RESERVED if label.multi_label else RESERVED), *views}
    extra = extra_names([name for name in others if name not in _own(others).values()], own)
    return _Columns(views, label, paths, others, extra, info.class_names.get(label.columns[0], ()))


def _samples(tree: Tree, shards: Sequence[str], columns: _Columns, findings: list[Finding]) -> Iterator[Sample]:
    own = _own(columns.others)
    has_ids = "id" in own
    use_paths = not has_ids and _paths_are_ids(tree, shards, columns)
    for shard in shards:
        num_unlabelled = 0
        holes = _holes(tree, shard, columns)
        for number, row in enumerate(_rows(tree, shard, columns, with_paths=use_paths)):
            label = _label(row, columns, f"{tree.title_of(shard)}, row {number}")
            if label is None:
                num_unlabelled += 1
                continue
            name = str(row[own["id"]]) if has_ids else f"{shard}/{number}"
            if use_paths:
                name = "|".join(row[column]["path"] for column in columns.paths)
            yield Sample(
                name,
                label,
                {
                    view: add_step(tree.locator(shard), "row", f"{number},{column}")
                    for view, column in columns.views.items()
                    if (view, number) not in holes
                },
                _split(row.get(own.get("split", "")), shard, tree.title_of(shard)),
                None if row.get(own.get("group", "")) is None else str(row[own["group"]]),
                extra={name: _text(row[column]) for column, name in columns.extra.items()},
            )
        if num_unlabelled:
            message = f"{num_unlabelled} row(s) of {shard} have no label and are left out"
            findings.append(Finding("warning", "no-label", message))


def _own(columns: Sequence[str]) -> dict[str, str]:
    """Reserved name (`id`, `split`, `group` ...) -> column of that name."""
    return {name.lower(): name for name in reversed(columns) if name.lower() in RESERVED}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _holes(tree: Tree, shard: str, columns: _Columns) -> set[tuple[str, int]]:
    """(view, row) pairs without a picture.

    A row without any picture keeps its first view, so that verification reports it.
    """
    first, *others = columns.views
    with_picture = {view: rows_with_picture(tree.file(shard), columns.views[view]) for view in columns.views if others}
    holes = {
        (view, row) for view, cells in with_picture.items() for row, is_there in enumerate(cells or ()) if not is_there
    }
    return {(view, row) for view, row in holes if view != first or not all((other, row) in holes for other in others)}


def _rows(tree: Tree, shard: str, columns: _Columns, *, with_paths: bool) -> list[dict[str, Any]]:
    blob = tree.file(shard)
    wanted = [*columns.label.columns, *columns.others]
    absent = [name for name in (*wanted, *columns.views.values()) if name not in open_parquet(blob).columns]
    if absent:
        raise DataError(f"{tree.title_of(shard)} has no column `{absent[0]}`, which the first file has")
    rows = read_columns(blob, wanted + [f"{name}.path" for name in columns.paths if with_paths])
    for row in rows:
        for name in wanted:
            row[name] = plain(row[name], is_whole=name in columns.whole)
    return rows


def _whole_numbers(tree: Tree, shards: Sequence[str], columns: Sequence[str]) -> frozenset[str]:
    """Float columns that hold whole numbers, decided over all shards, so that a class has the same name in each."""
    infos = [open_parquet(tree.file(shard)) for shard in shards]
    whole = set()
    for name in columns:
        if not any(name in info.fractions for info in infos):
            continue
        holding = [shard for shard, info in zip(shards, infos, strict=True) if name in info.columns]
        values = chain.from_iterable(read_columns(tree.file(shard), [name]) for shard in holding)
        if is_of_whole_numbers(row[name] for row in values):
            whole.add(name)
    return frozenset(whole)


def _paths_are_ids(tree: Tree, shards: Sequence[str], columns: _Columns) -> bool:
    """Whether every row has file names and no two rows have the same ones, so that they can serve as ids."""
    if len(columns.paths) < len(columns.views):
        return False
    seen: set[tuple[str | None, ...]] = set()
    num_rows = 0
    for shard in shards:
        for row in read_columns(tree.file(shard), [f"{name}.path" for name in columns.paths]):
            cells = tuple((row[name] or {}).get("path") for name in columns.paths)
            num_rows += 1
            seen.add(cells)
            if not all(cells) or len(seen) < num_rows:
                return False
    return True


def _label(row: Mapping[str, Any], columns: _Columns, where: str) -> str | None:
    """The class name or label set of a row; None without a label, which test sets mark by -1."""
    value = row[columns.label.columns[0]]
    if isinstance(value, list):
        return joined((_name(cell, columns.names, where) for cell in value), where)
    if value is None or (columns.names and value == -1) or (value == "" and not columns.label.multi_label):
        return None
    return columns.label.label(row, where) if columns.label.multi_label else _name(value, columns.names, where)


def _name(value: Any, names: tuple[str, ...], where: str) -> str:
    if not names or not isinstance(value, int):
        return str(value)
    if not 0 <= value < len(names):
        raise DataError(f"{where}: the label {value} has no name; there are {len(names)}")
    return names[value]


def _split(cell: Any, shard: str, title: str) -> str | None:
    """The split of a row: from its cell, else from the name of its file or folder, else None."""
    if cell is not None:
        split = SPLIT_WORDS.get(str(cell).strip().lower())
        if split is None:
            raise DataError(f"{title}: the split `{cell}` is none of {', '.join(SPLITS)}")
        return split
    word = re.split(r"[-_.]", posixpath.basename(shard).lower())[0]
    return SPLIT_WORDS.get(word) or SPLIT_WORDS.get(posixpath.basename(posixpath.dirname(shard)).lower())


SOURCE = Source(read_parquet, is_source)
