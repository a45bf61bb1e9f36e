"""Source: a table or a prepared manifest; selection of its file, and detection."""

from __future__ import annotations

from collections.abc import Sequence

from obverse.errors import DataError
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.listing import Listing
from obverse.manifest.sources.source import Source
from obverse.recipe import DataSpec

from .rows import is_table_name, require_no_spreadsheet
from .table import find_table, read_table, tables_near_top


def is_source(tree: Tree) -> bool:
    """Whether DATA is a table, or a folder with tables and without class folders."""
    tables = tables_near_top(tree)
    in_folders = not tree.is_single_file and any(folder.parts for folder in tree.folders)
    if any(name.lower().endswith(".parquet") for name in tree.others) and not in_folders:
        return True
    in_class_folders = len({folder.parts for folder in tree.folders}) > 1
    return bool(tables) and (tree.is_single_file or (bool(tree.folders) and not in_class_folders))


def read(tree: Tree, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    """Listing of the only table near the top, which is read as a manifest if it is one and the layout is not table."""
    if tree.is_single_file and not is_table_name(tree.others[0]):
        refuse_file(tree, spec.layout)
    name = find_table(tree, "table" if spec.layout == "auto" else spec.layout)
    return read_table(tree, name, views=views, layout=spec.layout, spec=spec)


def refuse_file(tree: Tree, layout: str) -> None:
    """Raise DataError for a single file that cannot be read in `layout`."""
    require_no_spreadsheet(tree.others, tree.title)
    if is_table_name(tree.others[0]):
        raise DataError(f"{tree.title} is a table, and data.layout is `{layout}`; give a folder or an archive")
    raise DataError(f"{tree.title} is a file; give a folder of class folders, an archive (.zip, .tar, .tar.gz ...), or "
                    "a table that ends in .csv, .tsv, .jsonl, .json or .parquet")  # fmt: skip


SOURCE = Source(read, is_source)
