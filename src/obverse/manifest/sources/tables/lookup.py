"""Lookup of pictures by the cells of a table: by path, file name, or name without the ending.

Letter case and Unicode form count only where they distinguish two pictures. An ambiguous cell matches no picture.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from obverse.manifest.names import composed, name_key
from obverse.manifest.sources.listing import Folder


class PictureLookup:
    """Index of a tree's pictures by file name and by stem. folders: the folders of the pictures."""

    def __init__(self, folders: Iterable[Folder]) -> None:
        self.paths = {path for folder in folders for path in folder.pictures}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self.paths):
            name = name_key(posixpath.basename(path))
            self._by_name[name].append(path)
            self._by_stem[posixpath.splitext(name)[0]].append(path)

    def find(self, cell: str, base: str = "") -> str | None:
        """The path of the only matching picture; None when none or several match.

        base: the folder that the cell is relative to. Folders match when one path is a suffix of the other:
        `/mnt/old/cat/1.jpg` matches `cat/1.jpg`, but `cat/1.jpg` does not match `dog/1.jpg`.
        """
        matches = self.all(cell, base)
        return matches[0] if len(matches) == 1 else None

    def all(self, cell: str, base: str = "") -> list[str]:
        """All pictures that match the cell; several if they cannot be distinguished. base: see `find`."""
        cell = cell.replace("\\", "/") if "\\" in cell and cell not in self.paths else cell  # written on Windows
        for path in (posixpath.normpath(posixpath.join(base, cell)), cell):
            if path in self.paths:
                return [path]
        name = name_key(posixpath.basename(cell))
        with_ending = self._best(self._by_name.get(name, ()), cell, base, has_ending=True)
        return with_ending or self._best(self._by_stem.get(name, ()), cell, base, has_ending=False)

    def _best(self, candidates: Iterable[str], cell: str, base: str, *, has_ending: bool) -> list[str]:
        """The matching candidates. Several are reduced to those below `base`, of equal spelling, in the cell's folder.

        A criterion that no candidate fulfils is skipped.
        """

        def parts(path: str) -> tuple[str, ...]:
            return PurePosixPath(path if has_ending else posixpath.splitext(path)[0]).parts

        wanted = tuple(part for part in PurePosixPath(cell).parts if part not in ("/", ".", ".."))
        folded = tuple(map(name_key, wanted))
        matches = [path for path in candidates if _ends_alike(tuple(map(name_key, parts(path))), folded)]
        form, folder = tuple(map(composed, wanted)), posixpath.normpath(posixpath.join(base, posixpath.dirname(cell)))
        fits: list[Callable[[str], bool]] = [
            lambda path: path.startswith(f"{base}/"),
            lambda path: _ends_alike(tuple(map(composed, parts(path))), form),
            lambda path: (posixpath.dirname(path) or ".") == folder,
        ]
        for fit in fits:
            if len(matches) > 1:
                matches = list(filter(fit, matches)) or matches
        return matches


def _ends_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    num = min(len(one), len(other))
    return one[-num:] == other[-num:]


def in_doubt(cell: str, several: Sequence[str]) -> str:
    """Message about an ambiguous cell."""
    return (f"`{cell}` could be {several[0]!r} or {several[1]!r}; write folder and ending into the table, or say where "
            "the pictures lie with data.image_root")  # fmt: skip
