"""Source: a table with the columns `label, split, group, <view>...` and one row per sample, or a prepared manifest.

A column is a view when the user names it, when it is a known view word or a word for a picture, or when its cells end
like picture files. Any other column is kept as an extra. Paths are relative to the table's folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from itertools import islice

from obverse.errors import DataError
from obverse.imaging import is_picture_name
from obverse.manifest.label_sets import SEPARATOR, described
from obverse.manifest.manifest import LABEL_RANK, RESERVED, SET_RESERVED
from obverse.manifest.names import composed
from obverse.manifest.sample import SPLITS, Finding, Sample
from obverse.manifest.samples import extra_names
from obverse.manifest.sources.folders.class_names import in_one_form
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.folders.words import SPLIT_WORDS, VIEW_WORDS
from obverse.manifest.sources.listing import Listing
from obverse.manifest.store import parse_locator
from obverse.recipe import DataSpec

from .label_cells import YES_NO, LabelCells, find_label, looks_like_sets
from .places import Places
from .rows import ANY, SET_WORDS, Row, Table, is_table_name, read_rows, require_no_spreadsheet

LABEL_WORDS = ("label", "class", "grade")
# Columns that may hold the names of pictures without their folder or ending.
NAME_WORDS = frozenset({"image_id", "image_name", "img", "img_id", "img_name", "image_path", "img_path", "file_path",
                        "filepath", "fname", "photo", "photo_id", "picture_id"})  # fmt: skip
IS_VALID = "is_valid"
"""Column of fastai's tables that states the split: True is val, False is train."""
PICTURE_WORDS = ("image", "picture", "path", "file", "filename", "file_name")
CHECKED, PREPARED = "check.json", "-manifest.csv"
OWN = {*RESERVED, LABEL_RANK}
Names = tuple[Mapping[str, str], Mapping[str, str]]
KNOWN_VIEWS = {word for words in VIEW_WORDS for word in words} | set(PICTURE_WORDS)


def tables_near_top(tree: Tree) -> list[str]:
    """Names of tables near the top, without those written by `check` and `prepare` if there are others."""
    names = [name for name in tree.others if is_table_name(name)]
    return [name for name in names if not is_ours(name)] or names


def is_ours(name: str) -> bool:
    """Whether the file has the name of a table written by `check` or `prepare`."""
    return posixpath.basename(name) == CHECKED or name.endswith(PREPARED)


def find_table(tree: Tree, layout: str) -> str:
    """The only table near the top; DataError when there is none or more than one."""
    names = tables_near_top(tree)
    if not names:
        require_no_spreadsheet(tree.others, tree.title)
    if len(names) != 1:
        which = f"the tables {', '.join(names[:5])}; give the one that is meant as DATA" if names else f"no {layout}"
        raise DataError(f"{tree.title} holds {which}, and data.layout is `{layout}`; a table ends in .csv, .tsv, "
                        ".jsonl, .json or .parquet")  # fmt: skip
    return names[0]


def read_table(
    tree: Tree, name: str, *, views: Sequence[str] | None = None, layout: str = "auto", spec: DataSpec = ANY
) -> Listing:
    """The listing of the table in the file `name` of the tree.

    views: picture columns, or None to detect them.
    layout: auto, table or manifest.
    spec: gives label columns, image root and encoding.

    DataError, naming the row, when the table is faulty.
    """
    table, title = read_rows(tree, name, spec), tree.title_of(name)
    rows, columns = table.rows, list(table.rows[0])
    is_manifest = tuple(columns[: len(RESERVED)]) in (RESERVED, SET_RESERVED) and layout != "table"
    if layout == "manifest" and not is_manifest:
        raise DataError(f"{title} is no prepared manifest: its columns do not begin with {','.join(RESERVED)}")
    cells = _manifest_labels(columns, spec, title) if is_manifest else label_cells(table, spec, title)
    places = None if is_manifest else Places(tree, posixpath.dirname(name), spec.image_root)
    free = [column for column in columns if column not in cells.columns]
    view_of = views_of(rows, free, views, places)
    absent = [column for column in view_of.values() if column not in columns]
    if absent or not view_of:
        wanted = f"no column `{absent[0]}`" if absent else "no column with picture files"
        raise DataError(f"{title}: {wanted}; the columns are {', '.join(columns)}; say which with data.views "
                        "(--image-column), and where the pictures lie with data.image_root (--image-root)")  # fmt: skip
    names = tuple(view_of)
    samples = _samples(tree, (table, title), cells, view_of, places)
    in_form, joined = in_one_form(samples)
    labels = in_form.labels
    findings = [*tree.findings, *table.findings, *joined, *(places.findings(title) if places else ())]
    findings += _check(title, table.numbers, samples, names, multi_label=cells.multi_label)
    findings += [] if cells.multi_label else looks_like_sets(labels)
    kind = "a prepared manifest" if is_manifest else "a table"
    seen = described(labels) if cells.multi_label else f"{len(set(labels))} classes in `{cells.columns[0]}`"
    summary = f"{kind} with the views {', '.join(names)}: {seen}, {len(rows)} rows"
    listing = Listing(tree.root, in_form, names, summary, "table", findings, keeps_missing_views=True)
    listing.multi_label = cells.multi_label
    if is_manifest:
        listing.layout, listing.order = "manifest", _ranked(title, table, cells.columns[0])
        if names == view_columns(rows, free):  # a digest covers all views of a sample, so it needs all of them
            listing.samples = in_form.with_columns(digests=(row["digest"] or None for row in rows))
    return listing


def _samples(
    tree: Tree, source: tuple[Table, str], cells: LabelCells, view_of: Mapping[str, str], places: Places | None
) -> list[Sample]:
    """The rows as samples.

    source: the table, and its name for messages.
    view_of: view -> column.
    places: converter of cells; None for a manifest, whose cells are locators.
    """
    (table, title), columns = source, list(source[0].rows[0])
    own = _own(columns)
    # A view is no extra column, although the cell of one row may be empty.
    others = [column for column in columns if column not in {*own.values(), *view_of.values(), *cells.columns}]
    extra = extra_names(others, {*(SET_RESERVED if cells.multi_label else RESERVED), *view_of})
    if places is not None:
        for column in view_of.values():
            places.trust(column, (row[column].strip() for row in table.rows))

    def place(cell: str, column: str) -> str:
        if places is not None:
            return places.locator(cell, column)
        return cell if "::" in cell else tree.spelled(cell)

    samples = []
    for number, row in zip(table.numbers, table.rows, strict=True):
        named = {view: cell for view, column in view_of.items() if (cell := row[column].strip())}
        pictures = {view: place(cell, view_of[view]) for view, cell in named.items()}
        key = "|".join(map(places.spelled, named.values()) if places else named.values())
        where = f"{title}, row {number}"
        samples.append(_sample(row, where, (cells.label(row, where), key), pictures, (own, extra)))
    return samples


def views_of(
    rows: Sequence[Row], columns: Sequence[str], given: Sequence[str] | None, places: Places | None
) -> dict[str, str]:
    """View -> column: the given columns, else those that `view_columns` detects, else one whose cells match pictures.

    given: names of picture columns, or None.
    places: used to match cells with pictures; None leaves this out.
    """
    image = PICTURE_WORDS[0]
    if given is not None and (tuple(given) != (image,) or image in columns):
        return {image if column.lower() in OWN else column: column for column in given}
    # A given view `image` without a column of that name stands for a detected column of another name.
    detected = view_columns(rows, columns)
    if detected or places is None:
        return {column: column for column in detected}
    likely = sorted(columns, key=lambda column: column.lower() not in NAME_WORDS)
    named = (c for c in likely if places.are_pictures(cell for row in rows if (cell := row[c].strip())))
    column = next(named, None)
    return {image: column} if column is not None else {}


def _own(columns: Sequence[str]) -> dict[str, str]:
    """Reserved name (`id`, `split`, `group` ...) -> column of that name, in any letter case."""
    own = {column.lower(): column for column in reversed(columns) if column.lower() in {*OWN, IS_VALID}}
    if "split" in own:
        own.pop(IS_VALID, None)
    return own


def label_cells(table: Table, spec: DataSpec, title: str) -> LabelCells:
    """The label columns of a table; DataError when there are none."""
    columns = list(table.rows[0])
    single = [column for word in LABEL_WORDS for column in columns if column.lower() == word]
    cells = find_label(columns, single, table.lists, spec, title)
    if cells is None:
        several = next((column for column in columns if column.lower() in SET_WORDS), None)
        hint = f"; if `{several}` holds several classes per row: data.labels=multi" if several else ""
        hint = hint or "; say which is the label with data.label_column (--label-column)"
        raise DataError(f"{title}: no column `label`; the columns are {', '.join(columns)}{hint}")
    return cells


def _manifest_labels(columns: Sequence[str], spec: DataSpec, title: str) -> LabelCells:
    """The label column of a prepared manifest."""
    if spec.label_columns or spec.label_separator != SEPARATOR:
        raise DataError(f"{title} is a prepared manifest, which says its labels itself; leave out data.label_columns "
                        "and data.label_separator")  # fmt: skip
    for field in ("label_column", "image_root"):
        if getattr(spec, field) is not None:
            raise DataError(f"{title} is a prepared manifest, which says labels and places itself; leave out "
                            f"data.{field}")  # fmt: skip
    is_set = columns[1] == SET_RESERVED[1]
    return LabelCells((columns[1],), is_set, SEPARATOR if is_set else None)


def view_columns(rows: Sequence[Row], columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of pictures, detected by their names or by the endings of their first 100 non-empty cells."""

    def is_view(column: str) -> bool:
        cells = list(islice(filter(None, (row[column] for row in rows)), 100))
        return column.lower() in KNOWN_VIEWS or (bool(cells) and all(map(_is_picture, cells)))

    own = (*RESERVED, LABEL_RANK)
    return tuple(column for column in columns if column.lower() not in own and is_view(column))


def _is_picture(cell: str) -> bool:
    return is_picture_name(cell) or bool(parse_locator(cell)[1])


def _sample(row: Row, where: str, defaults: tuple[str, str], views: dict[str, str], names: Names) -> Sample:
    """The sample of a row.

    defaults: the label, and the id for a row without one.
    names: reserved name (`id`, `split` ...) -> column, and column -> name of its extra column.
    """
    own, extra = names

    def cell(word: str) -> str:
        return row[own[word]] if word in own else ""

    return Sample(
        id=cell("id") or defaults[1],
        label=defaults[0],
        views=views,
        split=_split(cell("split"), cell(IS_VALID), where),
        group=cell("group") or None,
        extra={name: row[column] for column, name in extra.items()},
    )


def _split(split: str, is_valid: str, where: str) -> str | None:
    split, is_valid = split.strip().lower(), is_valid.strip().lower()
    if split and split not in SPLIT_WORDS:
        raise DataError(f"{where}: the split `{split}` is none of {', '.join(SPLITS)}")
    if is_valid and is_valid not in YES_NO:
        raise DataError(f"{where}: `{IS_VALID}` is `{is_valid}`; expected True or False")
    return ("val" if YES_NO[is_valid] else "train") if is_valid else SPLIT_WORDS.get(split)


def _check(
    path: str, numbers: Sequence[int], samples: Sequence[Sample], views: tuple[str, ...], *, multi_label: bool
) -> list[Finding]:
    seen: set[str] = set()
    for line, sample in zip(numbers, samples, strict=True):
        if not sample.label and not multi_label:
            raise DataError(f"{path}, row {line}: the label is empty; fill it in, or leave the row out")
        if not sample.views:
            raise DataError(f"{path}, row {line}: no picture in {', '.join(views)}")
        if sample.id in seen:
            raise DataError(f"{path}, row {line}: the sample `{sample.id}` occurs twice; give the rows distinct ids")
        seen.add(sample.id)
    missing = sum(1 for sample in samples if len(sample.views) < len(views))
    return [Finding("note", "missing-view", f"{missing} row(s) lack a view")] if missing else []


def _ranked(path: str, table: Table, label: str) -> tuple[str, ...] | None:
    """The class order that a prepared manifest states in LABEL_RANK, or None.

    DataError when a class has several ranks, or two classes have the same one.
    """
    if LABEL_RANK not in table.rows[0]:
        return None
    rank_of: dict[str, int] = {}
    for line, row in zip(table.numbers, table.rows, strict=True):
        name, cell = composed(row[label].strip()), row[LABEL_RANK].strip()
        if not cell.isdecimal() or rank_of.setdefault(name, int(cell)) != int(cell):
            raise DataError(
                f"{path}, row {line}: `{LABEL_RANK}` is {cell!r}; give class {name!r} one number everywhere"
            )
    if len(set(rank_of.values())) < len(rank_of):
        raise DataError(f"{path}: two classes have the same `{LABEL_RANK}`")
    return tuple(sorted(rank_of, key=rank_of.__getitem__))
