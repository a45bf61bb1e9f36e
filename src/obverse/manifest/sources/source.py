"""A kind of data source, as the registry names it: how it is recognised, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from obverse.errors import DataError
from obverse.manifest.sources.folders.tree import Tree
from obverse.recipe import DataSpec
from obverse.registry import SOURCES, load_file

from .listing import Listing


def is_never(tree: Tree) -> bool:
    """Of a source that is read only where nothing else is recognised, or where `data.layout` says so."""
    return False


@dataclass(frozen=True)
class Source:
    """read: the samples of a tree of files, given the names of views where the user gives them, and the recipe's
    `data`. is_source: whether a tree is one, by file names near the top.
    """

    read: Callable[[Tree, Sequence[str] | None, DataSpec], Listing]
    is_source: Callable[[Tree], bool] = is_never


def source_of(layout: str) -> Source:
    """The source that reads a `data.layout`."""
    source: Source = load_file("manifest.sources", SOURCES[layout]).SOURCE
    return source


def one_view(listing: Listing, views: Sequence[str] | None) -> Listing:
    """The listing of a source whose samples have one picture; DataError when other views are wanted."""
    if views is not None and tuple(views) != listing.views:
        raise DataError(f"data.views is {', '.join(views)}, and {listing.layout} has the one view {listing.views[0]}")
    return listing
