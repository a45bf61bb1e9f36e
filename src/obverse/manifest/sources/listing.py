"""Listing: the result of reading a source; and the walk over folders of pictures."""

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

# Files that together mark a folder of results, which is never data: of a run, of an evaluation, of a study.
RESULTS = ({"recipe.yaml", "manifest.csv"}, {"report.html", "metrics.json"}, {"sweep.yaml", "table.csv"})


@dataclass
class Listing:
    """Samples as listed by a source, before verification and splitting."""

    root: Path
    """Folder or URL that relative locators start from."""

    samples: Sequence[Sample]
    """Listed samples, converted to `Samples` on construction."""

    views: tuple[str, ...]
    """Names of the views, in order."""

    summary: str
    """Detected layout and the reason for it, in one line."""

    layout: str
    """Value of `data.layout` that reads the source in the same way."""

    findings: list[Finding] = field(default_factory=list)

    keeps_missing_views: bool = False
    """Whether `data.missing_view=auto` keeps samples that lack a view."""

    multi_label: bool = False
    """Whether a sample's label is a label set as text."""

    order: tuple[str, ...] | None = None
    """Class order stated by a manifest; None where the source states none."""

    source: Path | None = None
    """For a run's manifest, the data of the run."""

    stored: Path | None = None
    """For a run's manifest, its file."""

    def __post_init__(self) -> None:
        self.samples = Samples.of(self.samples).in_view_order(self.views)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that directly contains pictures."""

    parts: tuple[str, ...]
    """Path of the folder below the root, as names."""

    pictures: list[str]
    """Paths of its pictures below the root, sorted."""


def walk_folders(root: Path, unread: Unread | None = None) -> Iterator[Folder]:
    """Yield the folders with pictures at and below `root`, sorted, the root first.

    Hidden folders, system folders and results of Obverse are skipped. A file with an unknown ending is recognised by
    its first bytes. A folder that a symbolic link leads to again is entered once. unread: collects the files that are
    no pictures.

    DataError when a folder cannot be read.
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
    """Whether the entry is a folder or a link to one; False for a broken or circular link."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def walk_pictures(root: Path) -> Iterator[str]:
    """Relative paths of the pictures below root, with `/`, in the order of `walk_folders`."""
    for folder in walk_folders(root):
        yield from folder.pictures


def stem_key(path: str) -> str:
    """The `name_key` of a file's stem: equal for the views of one object (`Coin1.JPG` and `coin1.png`)."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name_key(name[:dot] if dot > 0 else name)
