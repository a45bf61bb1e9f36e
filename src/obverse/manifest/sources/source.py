"""Source: a kind of data, registered under its `data.layout`, with a detector and a reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from obverse.errors import DataError
from obverse.manifest.sources.folders.tree import Tree
from obverse.recipe import DataSpec
from obverse.registry import SOURCES, load_file

from .listing import Listing


def is_never(tree: Tree) -> bool:
    """False: detector of a source that is never detected, and is read only as the default or by `data.layout`."""
    return False


@dataclass(frozen=True)
class Source:
    """Reader and detector of one kind of data source."""

    read: Callable[[Tree, Sequence[str] | None, DataSpec], Listing]
    """Function of a file tree, view names (None: not given) and the recipe's `data`, which returns the listing."""

    is_source: Callable[[Tree], bool] = is_never
    """Function that detects the source from the file names near the top of a tree."""


def source_of(layout: str) -> Source:
    """The source registered for the value `layout` of `data.layout`."""
    source: Source = load_file("manifest.sources", SOURCES[layout]).SOURCE
    return source


def one_view(listing: Listing, views: Sequence[str] | None) -> Listing:
    """The listing, unchanged, of a source with one view; DataError when `views` names other views."""
    if views is not None and tuple(views) != listing.views:
        raise DataError(f"data.views is {', '.join(views)}, and {listing.layout} has the one view {listing.views[0]}")
    return listing
