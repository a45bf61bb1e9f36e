"""Listing, which every source returns, and the walk over folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obverse.errors import DataError
from obverse.imaging import is_picture_name, is_unclear_name
from obverse.manifest.names import is_left_out, name_key
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Samples
from obverse.manifest.sources.folders.unread import Unread, holds_picture

# File names that mark the folder of a run, of an evaluation, of a study.
RESULTS = ({"recipe.yaml", "manifest.csv"}, {"report.html", "metrics.json"}, {"sweep.yaml", "table.csv"})


@dataclass
class Listing:
    """Samples as listed by a source, before verification and splitting.

    samples: a list of `Sample`, or `Samples` where there may be very many. summary: the detected layout and the reason,
    in one line. layout: the value of `data.layout` with which the source would be read in the same way.
    """

    root: Path
    samples: Sequence[Sample]
    views: tuple[str, ...]
    summary: str
    layout: str
    findings: list[Finding] = field(default_factory=list)
    keeps_missing_views: bool = False
    # Whether a sample's label is a label set as text.
    multi_label: bool = False
    # order: the class order in a manifest. source, stored: for a run's manifest, its data and its file.
    order: tuple[str, ...] | None = None
    source: Path | None = None
    stored: Path | None = None

    def __post_init__(self) -> None:
        self.samples = Samples.of(self.samples).in_view_order(self.views)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with pictures. parts: its path below the root. pictures: their paths below the root, sorted."""

    parts: tuple[str, ...]
    pictures: list[str]


def walk_folders(root: Path, unread: Unread | None = None) -> Iterator[Folder]:
    """The folders with pictures below root, root first, sorted, without hidden and system folders.

    A file with an unknown ending is recognised by its first bytes. unread: collects the files that are no pictures. A
    folder reached again through a symbolic link is not entered twice. Results of Obverse are skipped.
    """
    seen: set[tuple[int, int]] = set()

    def visit(path: str, parts: tuple[str, ...]) -> Iterator[Folder]:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        folders, names, others = [], [], set()
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if is_left_out(name):
                    continue
                if is_folder(entry):
                    folders.append(name)
                elif is_picture_name(name) or (is_unclear_name(name) and holds_picture(entry.path)):
                    names.append(name)
                else:
                    others.add(name)
        if parts and any(mark <= others for mark in RESULTS):
            return
        if unread is not None:
            unread.add(parts, others)
        if names:
            names.sort()
            prefix = "".join(f"{part}/" for part in parts)
            yield Folder(parts, [prefix + name for name in names])
        for name in sorted(folders):
            yield from visit(os.path.join(path, name), (*parts, name))

    try:
        yield from visit(str(root), ())
    except OSError as error:
        raise DataError(f"the folder {error.filename!r} cannot be read: {error.strerror}") from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether the entry is a folder, or a link to one; false for a link that is broken or leads to itself."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def walk_pictures(root: Path) -> Iterator[str]:
    """Relative paths of the pictures below root, with `/`, in the order of `walk_folders`."""
    for folder in walk_folders(root):
        yield from folder.pictures


def stem_key(path: str) -> str:
    """The `name_key` of the stem, by which the views of one object are paired (`Coin1.JPG` and `coin1.png`)."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name_key(name[:dot] if dot > 0 else name)
