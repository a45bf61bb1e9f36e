"""Folders of pictures as a source, in any of their layouts."""

from __future__ import annotations

from collections.abc import Sequence

from obverse.manifest.sources.listing import Listing
from obverse.manifest.sources.source import Source
from obverse.manifest.sources.tables.source import refuse_file
from obverse.recipe import DataSpec

from .layouts import read_folders
from .tree import Tree


def read(tree: Tree, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    """Listing of a folder tree, in the detected layout or in `spec.layout`."""
    if tree.is_single_file:
        refuse_file(tree, spec.layout)
    return read_folders(tree, layout=spec.layout, views=views)


SOURCE = Source(read)
