"""Finds the picture that a table's cell means: by its path, its file name, or its name without the ending.

Letter case and Unicode form count only where they tell two pictures apart. What could be two pictures is none.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from obverse.manifest.names import composed, name_key

from .listing import Folder


class PictureLookup:
    """The pictures of a tree by name. folders: those that hold the pictures."""

    def __init__(self, folders: Iterable[Folder]) -> None:
        self.paths = {path for folder in folders for path in folder.pictures}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self.paths):
            name = name_key(posixpath.basename(path))
            self._by_name[name].append(path)
            self._by_stem[posixpath.splitext(name)[0]].append(path)

    def find(self, cell: str, base: str = "") -> str | None:
        """The path of the picture; None when there is none, or several could be meant.

        base: the folder that the cell is relative to. A cell with folders names a picture whose own folders end like
        its, or the other way round: `/mnt/old/cat/1.jpg` is `cat/1.jpg`, but `cat/1.jpg` is not `dog/1.jpg`.
        """
        cell = cell.replace("\\", "/") if "\\" in cell and cell not in self.paths else cell  # written on Windows
        for path in (posixpath.normpath(posixpath.join(base, cell)), cell):
            if path in self.paths:
                return path
        name = name_key(posixpath.basename(cell))
        return self._best(self._by_name.get(name, ()), cell, base, has_ending=True) or self._best(
            self._by_stem.get(name, ()), cell, base, has_ending=False
        )

    def _best(self, candidates: Iterable[str], cell: str, base: str, *, has_ending: bool) -> str | None:
        """The only candidate that fits; of several, the only one below base, then the only one of the same spelling."""

        def parts(path: str) -> tuple[str, ...]:
            return PurePosixPath(path if has_ending else posixpath.splitext(path)[0]).parts

        wanted = tuple(part for part in PurePosixPath(cell).parts if part not in ("/", ".", ".."))
        folded = tuple(map(name_key, wanted))
        found = [path for path in candidates if _ends_alike(tuple(map(name_key, parts(path))), folded)]
        inside = [path for path in found if path.startswith(f"{base}/")] if base else []
        found = inside or found
        if len(found) > 1:
            form = tuple(map(composed, wanted))
            found = [path for path in found if _ends_alike(tuple(map(composed, parts(path))), form)]
        return found[0] if len(found) == 1 else None


def _ends_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    num = min(len(one), len(other))
    return one[-num:] == other[-num:]
