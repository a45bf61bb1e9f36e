"""Detection of the kind of source of DATA, from file names near its top.

Sources are tried in the order of their registry: CIFAR batches, JSON indexes, Parquet files, a lone table beside
pictures that lie in no class folders. Otherwise the folders of the pictures decide. `data.layout` overrides detection.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import grid
from obverse.manifest.sources.folders.class_names import in_one_form
from obverse.manifest.sources.folders.tree import Tree, data_root, open_tree
from obverse.manifest.sources.folders.views import in_parts
from obverse.manifest.sources.tables.beside import Choice, choose_tables, read_chosen
from obverse.manifest.sources.tables.rows import require_no_spreadsheet
from obverse.manifest.sources.tables.table import tables_near_top
from obverse.manifest.store import part_of
from obverse.recipe import DataSpec
from obverse.registry import SOURCES

from .fixes import with_fixes
from .listing import Listing
from .run_folder import read_run_folder, run_folder_of
from .source import source_of

TABLES = {"table", "split-horizontal"}


def read_source(path: Path, spec: DataSpec) -> Listing:
    """The listing of the data at `path`, in the detected layout or in `spec.layout`, with class names in NFC.

    Labels are those after `spec.fixes`.

    DataError when the data cannot be read in that layout.
    """
    listing = _read_source(path, spec)
    samples, findings = in_one_form(listing.samples)
    listing = replace(listing, samples=samples, findings=[*listing.findings, *findings])
    return with_fixes(listing, spec.fixes, separator=spec.label_separator) if spec.fixes else listing


def _read_source(path: Path, spec: DataSpec) -> Listing:
    root = data_root(path)
    run = run_folder_of(path)
    if run is not None and spec.layout != "table":
        listing = _require_consistent(_tiled(read_run_folder(run), spec), str(path), spec)
        if spec.layout not in ("auto", "manifest", listing.layout):
            raise DataError(f"{str(path)!r} is a run folder, whose data is read as {listing.layout}, and data.layout "
                            f"is {spec.layout}; leave it out, or give the data itself")  # fmt: skip
        return listing
    tree = open_tree(path, root, archive_encoding=spec.archive_encoding)
    layout = (_explicit_table(tree, spec) or _detect(tree)) if spec.layout == "auto" else spec.layout
    choice = _tables_beside(tree, layout, spec)
    layout = "table" if choice.tables else layout
    if spec.path_map and layout != "json-index":
        raise DataError(f"data.path_map is for JSON indexes, and {tree.title} is read as {layout}; leave it out")
    if spec.archive_encoding is not None and tree.archive is None:
        raise DataError(f"data.archive_encoding is for archives, and {tree.title} is none; leave it out")
    views = None if spec.views == "auto" else spec.views
    views = None if spec.tiles else views
    source = source_of("class-folders" if layout == "auto" else layout)
    listing = read_chosen(tree, choice, spec) if choice.tables else source.read(tree, views, spec)
    if not choice.tables:
        listing.findings = [*listing.findings, *choice.findings]
    listing = _tiled(listing, spec)
    listing = _require_consistent(listing, tree.title, spec)
    if tree.archive is not None:
        listing = replace(listing, summary=f"in the archive {path.name}: {listing.summary}")
    return listing


def _explicit_table(tree: Tree, spec: DataSpec) -> str | None:
    """`table` where the recipe has settings of tables and there is a table other than Parquet files; else None."""
    is_explicit = spec.label_column is not None or spec.image_root is not None
    tables = [name for name in tables_near_top(tree) if not name.lower().endswith(".parquet")]
    return "table" if is_explicit and tables else None


def _require_consistent(listing: Listing, title: str, spec: DataSpec) -> Listing:
    """The listing; DataError when settings of the recipe contradict it or do not apply to its layout."""
    layouts = {"label_column": {*TABLES, "parquet"}, "image_root": TABLES, "table_encoding": TABLES}
    for field, fitting in layouts.items():
        if getattr(spec, field) is not None and listing.layout not in fitting:
            raise DataError(f"data.{field} is for tables, and {title} is read as {listing.layout}; leave it out, or "
                            "give the table as DATA")  # fmt: skip
    wanted = "multi" if spec.label_columns else spec.labels
    if wanted == "multi" and not listing.multi_label:
        raise DataError(f"data.labels is multi, and {title} is read as {listing.layout}, with one class per sample; "
                        "several are read from a table (CSV, JSON, Parquet)")  # fmt: skip
    if wanted == "single" and listing.multi_label:
        raise DataError(f"data.labels is single, and {title} has any number of classes per sample; leave it out")
    if listing.multi_label:
        try:
            spec.require_for_sets()
        except ValueError as error:
            raise DataError(f"data.{error}") from None
    return listing


def _detect(tree: Tree) -> str:
    """The detected layout, or `auto` where the folders decide."""
    for layout in SOURCES:
        if source_of(layout).is_source(tree):
            return layout
    in_class_folders = len({folder.parts for folder in tree.folders}) > 1
    if not in_class_folders and not tables_near_top(tree):
        require_no_spreadsheet(tree.others, tree.title)
    return "auto"


def _tables_beside(tree: Tree, layout: str, spec: DataSpec) -> Choice:
    """The label tables beside folders of pictures; none where DATA is a table or the layout in use has none."""
    is_open = layout == "table" or (layout == "auto" and spec.layout == "auto")
    if tree.is_single_file or not is_open or not tree.folders or not tables_near_top(tree):
        return Choice()
    return choose_tables(tree, spec)


def _tiled(listing: Listing, spec: DataSpec) -> Listing:
    """The listing with the recipe's tiles (`data.tiles`) as views; unchanged if it has these views already."""
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
    summary = f"{listing.summary}; each picture is {len(parts)} views, its tiles {', '.join(names)}"
    return replace(in_parts(listing, names, parts), summary=summary)
