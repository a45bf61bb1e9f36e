"""Which source DATA is: what was seen, and which file reads it.

By file names near the top: CIFAR batches, JSON indexes, Parquet files, a lone table beside pictures that lie in no
class folders; otherwise the pictures' folders decide (`folders.py`). `data.layout` overrides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import grid
from obverse.manifest.sources.folders.class_names import in_one_form
from obverse.manifest.sources.folders.layouts import read_folders
from obverse.manifest.sources.folders.tree import Tree, data_root, open_tree
from obverse.manifest.sources.folders.views import in_parts
from obverse.manifest.sources.tables.beside import Choice, choose_tables, read_chosen
from obverse.manifest.sources.tables.json_index import index_names, read_json_indexes
from obverse.manifest.sources.tables.rows import is_table_name, require_no_spreadsheet
from obverse.manifest.sources.tables.table import find_table, read_table, tables_near_top
from obverse.manifest.store import part_of
from obverse.recipe import DataSpec

from .cifar import find_batches, read_cifar_batches
from .listing import Listing
from .parquet import holds_pictures, read_parquet, shard_names
from .run_folder import read_run_folder, run_folder_of

TABLES = {"table", "split-horizontal"}
FOLDER_LAYOUTS = ("class-folders", "view-folders", "object-folders", "suffix-views", "split-horizontal")


def read_source(path: Path, spec: DataSpec) -> Listing:
    """Read DATA as what it is, or as `spec.layout` says, with class names in one Unicode form.

    DataError when it cannot be read so.
    """
    listing = _read_source(path, spec)
    samples, findings = in_one_form(listing.samples)
    return replace(listing, samples=samples, findings=[*listing.findings, *findings])


def _read_source(path: Path, spec: DataSpec) -> Listing:
    root = data_root(path)
    run = run_folder_of(path)
    if run is not None and spec.layout != "table":
        listing = _as_said(_tiled(read_run_folder(run), spec), str(path), spec)
        if spec.layout not in ("auto", "manifest", listing.layout):
            raise DataError(f"{str(path)!r} is a run folder, whose data is read as {listing.layout}, and data.layout "
                            f"is {spec.layout}; leave it out, or give the data itself")  # fmt: skip
        return listing
    tree = open_tree(path, root, archive_encoding=spec.archive_encoding)
    layout = (_told_table(tree, spec) or _detect(tree)) if spec.layout == "auto" else spec.layout
    choice = _tables_beside(tree, layout, spec)
    layout = "table" if choice.tables else layout
    if spec.path_map and layout != "json-index":
        raise DataError(f"data.path_map is for JSON indexes, and {tree.shown} is read as {layout}; leave it out")
    views = None if spec.views == "auto" else spec.views
    views = None if spec.tiles else views
    listing = read_chosen(tree, choice, spec) if choice.tables else _read(tree, layout, views, spec)
    if not choice.tables:
        listing.findings = [*listing.findings, *choice.findings]
    listing = _tiled(listing, spec)
    listing = _as_said(listing, tree.shown, spec)
    if tree.archive is not None:
        listing = replace(listing, said=f"in the archive {path.name}: {listing.said}")
    return listing


def _told_table(tree: Tree, spec: DataSpec) -> str | None:
    """`table` where the recipe speaks of one and there is one; pictures in Parquet files are no such table."""
    is_told = spec.label_column is not None or spec.image_root is not None
    tables = [name for name in tables_near_top(tree) if not name.lower().endswith(".parquet")]
    return "table" if is_told and tables else None


def _as_said(listing: Listing, shown: str, spec: DataSpec) -> Listing:
    """DataError when data.labels says otherwise than what was read, or what has no meaning for it."""
    layouts = {"label_column": {*TABLES, "parquet"}, "image_root": TABLES, "table_encoding": TABLES}
    for field, fitting in layouts.items():
        if getattr(spec, field) is not None and listing.layout not in fitting:
            raise DataError(f"data.{field} is for tables, and {shown} is read as {listing.layout}; leave it out, or "
                            "give the table as DATA")  # fmt: skip
    wanted = "multi" if spec.label_columns else spec.labels
    if wanted == "multi" and not listing.multi_label:
        raise DataError(f"data.labels is multi, and {shown} is read as {listing.layout}, with one class per sample; "
                        "several are read from a table (CSV, JSON, Parquet)")  # fmt: skip
    if wanted == "single" and listing.multi_label:
        raise DataError(f"data.labels is single, and {shown} has any number of classes per sample; leave it out")
    if listing.multi_label:
        try:
            spec.require_for_sets()
        except ValueError as error:
            raise DataError(f"data.{error}") from None
    return listing


def _read(tree: Tree, layout: str, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    if layout == "split-horizontal":
        return _read_halves(tree, spec, views)
    if layout in ("table", "manifest"):
        return _read_table(tree, spec, views)  # a table that is not told to be one may be a manifest
    if tree.is_single_file and layout in (*FOLDER_LAYOUTS, "auto"):
        _refuse_file(tree, layout)
    if layout == "cifar":
        return _one_view(read_cifar_batches(tree), views)
    if layout == "json-index":
        return _one_view(read_json_indexes(tree, spec.path_map), views)
    if layout == "parquet":
        return read_parquet(tree, views, spec)
    return read_folders(tree, layout=layout, views=views)


def _detect(tree: Tree) -> str:
    """A layout, or `auto` where the folders decide."""
    if find_batches(tree):
        return "cifar"
    if index_names(tree):
        return "json-index"
    tables = tables_near_top(tree)
    in_folders = any(folder.parts for folder in tree.folders)
    if shard_names(tree) and (tree.is_single_file or not in_folders):
        return "parquet" if holds_pictures(tree) else "table"
    if tables and tree.is_single_file:
        return "table"
    in_class_folders = len({folder.parts for folder in tree.folders}) > 1
    if not in_class_folders and not tables:
        require_no_spreadsheet(tree.others, tree.shown)
    return "table" if tables and tree.folders and not in_class_folders else "auto"


def _tables_beside(tree: Tree, layout: str, spec: DataSpec) -> Choice:
    """The label tables beside folders of pictures; none where DATA is a table or a layout is told that has none."""
    is_open = layout == "table" or (layout == "auto" and spec.layout == "auto")
    if tree.is_single_file or not is_open or not tree.folders or not tables_near_top(tree):
        return Choice()
    return choose_tables(tree, spec)


def _read_table(tree: Tree, spec: DataSpec, views: Sequence[str] | None) -> Listing:
    layout = spec.layout
    if tree.is_single_file and not is_table_name(tree.others[0]):
        _refuse_file(tree, layout)
    name = find_table(tree, "table" if layout == "auto" else layout)
    return read_table(tree, name, views=views, layout=layout, spec=spec)


def _read_halves(tree: Tree, spec: DataSpec, views: Sequence[str] | None) -> Listing:
    names = tuple(views) if views is not None else ("left", "right")
    if len(names) != 2:
        raise DataError(f"split-horizontal makes two views, and data.views names {len(names)}: left half, right half")
    is_table = tree.is_single_file and is_table_name(tree.others[0])
    if tree.is_single_file and not is_table:
        _refuse_file(tree, "split-horizontal")
    listing = read_table(tree, tree.others[0], spec=spec) if is_table else read_folders(tree, layout="class-folders")
    if len(listing.views) != 1:
        raise DataError(f"split-horizontal needs one picture per sample, and {tree.shown} has {len(listing.views)}")
    said = f"{listing.said}; each frame is two views, {names[0]} (left half) and {names[1]} (right half)"
    return replace(in_parts(listing, names, grid(1, 2)), said=said, layout="split-horizontal")


def _tiled(listing: Listing, spec: DataSpec) -> Listing:
    """The listing with the tiles that the recipe asks for; one that has them already stays as it is."""
    if spec.tiles is None:
        return listing
    parts = grid(spec.tiles.rows, spec.tiles.columns)
    if len(listing.views) > 1:
        first = listing.samples[0].views
        if [part_of(first.get(view, ""))[1] for view in listing.views] == [part.step for part in parts]:
            return listing
        raise DataError(f"data.tiles needs one picture per sample, and the data has {', '.join(listing.views)}")
    names = spec.tiles.names if spec.views == "auto" else spec.views
    if len(names) != len(parts):
        raise DataError(f"data.tiles makes {len(parts)} views, and data.views names {len(names)}")
    said = f"{listing.said}; each picture is {len(parts)} views, its tiles {', '.join(names)}"
    return replace(in_parts(listing, names, parts), said=said)


def _one_view(listing: Listing, views: Sequence[str] | None) -> Listing:
    if views is not None and tuple(views) != listing.views:
        raise DataError(f"data.views is {', '.join(views)}, and {listing.layout} has the one view {listing.views[0]}")
    return listing


def _refuse_file(tree: Tree, layout: str) -> None:
    require_no_spreadsheet(tree.others, tree.shown)
    if is_table_name(tree.others[0]):
        raise DataError(f"{tree.shown} is a table, and data.layout is `{layout}`; give a folder or an archive")
    raise DataError(f"{tree.shown} is a file; give a folder of class folders, an archive (.zip, .tar, .tar.gz ...), or "
                    "a table that ends in .csv, .tsv, .jsonl, .json or .parquet")  # fmt: skip
