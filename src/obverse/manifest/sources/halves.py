"""Source: pictures that contain two views side by side, in class folders or in a table (`split-horizontal`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from obverse.errors import DataError
from obverse.imaging import grid
from obverse.manifest.sources.folders.layouts import read_folders
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.folders.views import in_parts
from obverse.manifest.sources.tables.rows import is_table_name
from obverse.manifest.sources.tables.source import refuse_file
from obverse.manifest.sources.tables.table import read_table
from obverse.recipe import DataSpec

from .listing import Listing
from .source import Source


def read(tree: Tree, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    """Listing whose first view is the left half of each picture, and whose second view is the right half.

    views: names of the two views, or None for left and right.

    DataError when `views` does not name two views, or when a sample has more than one picture.
    """
    names = tuple(views) if views is not None else ("left", "right")
    if len(names) != 2:
        raise DataError(f"split-horizontal makes two views, and data.views names {len(names)}: left half, right half")
    is_table = tree.is_single_file and is_table_name(tree.others[0])
    if tree.is_single_file and not is_table:
        refuse_file(tree, "split-horizontal")
    listing = read_table(tree, tree.others[0], spec=spec) if is_table else read_folders(tree, layout="class-folders")
    if len(listing.views) != 1:
        raise DataError(f"split-horizontal needs one picture per sample, and {tree.title} has {len(listing.views)}")
    summary = f"{listing.summary}; each frame is two views, {names[0]} (left half) and {names[1]} (right half)"
    return replace(in_parts(listing, names, grid(1, 2)), summary=summary, layout="split-horizontal")


SOURCE = Source(read)
