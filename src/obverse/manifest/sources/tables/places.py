"""Locators of the pictures in a table's cells, including cells that are not simply a path.

A cell may lack the file's ending (`ISIC_0001`) or folder (`1.jpg`, which is in `part_2/`), have the separators of
Windows (`train\\a\\1.jpg`), or another Unicode form or letter case than the file. Such a cell stands for the only
picture that matches it (`lookup.py`); an ambiguous cell is an error.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import is_picture_name
from obverse.manifest.sample import Finding
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.listing import Folder, walk_folders
from obverse.manifest.store import parse_locator, relocate, remote_url

from .lookup import PictureLookup, in_doubt

# Number of cells per column that are checked on disk. If all are existing paths, the rest is assumed to be.
NUM_PROBED = 64


class Places:
    """Converter of cells to locators.

    base: the table's folder in the tree, which cells are relative to.
    image_root: `data.image_root`, a folder that replaces `base`, relative to it or absolute.
    """

    def __init__(self, tree: Tree, base: str = "", image_root: str | None = None) -> None:
        self.tree = tree
        self.top = base if image_root is None else self._below(image_root, base)
        # A single remote file: whether a picture beside it exists is unknown, because nothing was listed.
        self._is_blind = tree.members is None and bool(remote_url(tree.root))
        self._trusted: set[str] = set()
        self._num_looked_up, self._example = 0, ""

    def trust(self, column: str, cells: Iterable[str]) -> None:
        """Check the first cells of a column; when all exist, ordinary names among the rest are not checked."""
        near = (cell for cell in cells if cell and not _is_apart(cell))
        if self._is_blind or all(self.tree.has(self._literal(cell)) for cell in islice(near, NUM_PROBED)):
            self._trusted.add(column)

    def locator(self, cell: str, column: str = "") -> str:
        """The locator of the picture that a cell names; the cell is a path, a part of one, or a locator.

        DataError when the cell matches several pictures.
        """
        if os.path.isabs(cell) or remote_url(cell):
            return cell
        path = self._literal(cell)
        if not parse_locator(cell)[1]:
            return self.tree.locator(self._path(cell, column))
        if self.tree.archive is not None:
            return path
        is_name = os.path.lexists(self.tree.root / path)  # a file's name may look like a locator
        return self.tree.locator(path) if is_name else relocate(cell, lambda name: self._path(name, column))

    def spelled(self, cell: str) -> str:
        """The cell with backslashes as separators replaced by `/`, for an id."""
        is_windows = "\\" in cell and not self.tree.has(self._literal(cell))
        return cell.replace("\\", "/") if is_windows else cell

    def are_pictures(self, cells: Iterable[str]) -> bool:
        """Whether the first cells of a column match one picture each, all of them different."""
        probed = list(islice(cells, NUM_PROBED))
        paths = {None if _is_apart(cell) else self.find(cell) for cell in probed}
        return bool(paths) and None not in paths and len(paths) == len(probed)

    def find(self, cell: str) -> str | None:
        """The path in the tree of the only picture that matches a cell; None when none or several do."""
        slashed = cell.replace("\\", "/")
        for name in dict.fromkeys((cell, slashed)):
            if self.tree.has(path := self._literal(name)):
                return path
        return None if self._is_blind else self._lookup.find(slashed, self.top)

    def findings(self, title: str) -> list[Finding]:
        """A note with the number of cells that were not simply paths, if there were any."""
        if not self._num_looked_up:
            return []
        how = "without folder, ending or exact spelling"
        return [
            Finding("note", "looked-up", f"{title}: {self._num_looked_up} picture(s) are named {how}: {self._example}")
        ]

    def _path(self, cell: str, column: str) -> str:
        literal = self._literal(cell)
        is_usual = is_picture_name(cell) and cell.isascii() and "\\" not in cell
        if self._is_blind or (column in self._trusted and is_usual):
            return literal
        path = self.find(cell)
        if path is None:
            self._require_one(cell)
            return literal
        if path != literal:
            self._num_looked_up += 1
            self._example = self._example or f"{cell!r} is {path!r}"
        return path

    def _require_one(self, cell: str) -> None:
        several = self._lookup.all(cell.replace("\\", "/"), self.top)
        if len(several) > 1:
            raise DataError(f"{self.tree.title}: {in_doubt(cell, several)}")

    def _literal(self, name: str) -> str:
        """The path that the cell spells, whether or not the file exists."""
        return posixpath.normpath(posixpath.join(self.top, name)) if self.top or self.tree.archive else name

    def _below(self, image_root: str, base: str) -> str:
        """data.image_root as a folder of the tree, or as an absolute path outside it."""
        top = posixpath.normpath(posixpath.join(base, image_root.replace(os.sep, "/")))
        root = os.path.abspath(self.tree.root)
        if os.path.isabs(top) and self.tree.archive is None and not remote_url(self.tree.root):
            inside = os.path.relpath(top, root)
            top = top if inside.startswith("..") else inside
        is_folder = any(name.startswith(f"{top}/") for name in self.tree.members or ())
        if top != "." and not is_folder and not os.path.isdir(os.path.join(root, top)):
            raise DataError(f"data.image_root: {image_root!r} is no folder; relative paths start at the table's folder")
        return "" if top == "." else top

    @cached_property
    def _lookup(self) -> PictureLookup:
        """Index of the pictures in the tree, or in an image root outside of it."""
        if not os.path.isabs(self.top) and not self.top.startswith(".."):
            return self.tree.lookup
        folders = walk_folders(Path(self.tree.root) / self.top)
        return PictureLookup(Folder(f.parts, [posixpath.join(self.top, name) for name in f.pictures]) for f in folders)


def _is_apart(cell: str) -> bool:
    """Whether the cell is independent of the tree: an absolute path, a URL, or a place inside a file."""
    return os.path.isabs(cell) or bool(remote_url(cell)) or bool(parse_locator(cell)[1])
