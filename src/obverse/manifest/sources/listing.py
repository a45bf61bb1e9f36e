"""What every source returns, and how folders are walked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from obverse.errors import DataError
from obverse.imaging import PICTURE_SUFFIXES
from obverse.manifest.sample import Finding, Sample


@dataclass
class Listing:
    """Samples as found, before verification and splitting. said: one line on what was seen and why.

    layout: what the recipe's `data.layout` would say to read it the same way.
    """

    root: Path
    samples: list[Sample]
    views: tuple[str, ...]
    said: str
    layout: str
    findings: list[Finding] = field(default_factory=list)
    keeps_missing_views: bool = False


def walk_pictures(root: Path) -> Iterator[str]:
    """Paths of picture files below root, relative, with `/`, in sorted order; hidden files and folders are left out.

    A folder reached again through a symbolic link is not entered twice.
    """
    seen: set[tuple[int, int]] = set()

    def visit(folder: str, prefix: str) -> Iterator[str]:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
        for entry in entries:
            if entry.is_dir():
                yield from visit(entry.path, f"{prefix}{entry.name}/")
            elif is_picture_name(entry.name):
                yield prefix + entry.name

    try:
        yield from visit(str(root), "")
    except OSError as error:
        raise DataError(f"the folder {error.filename!r} cannot be read: {error.strerror}") from None


def is_picture_name(name: str) -> bool:
    """Whether the file name ends like a picture's."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def stem_key(path: str) -> str:
    """The case-folded stem, by which the views of one object are paired (`Coin1.JPG` meets `coin1.png`)."""
    return PurePosixPath(path).stem.casefold()
