"""Prepared manifest: a CSV file that people may edit and `train` reads unchanged.

It differs from a run's manifest in two ways. Pictures below the file's own folder are named relative to it, all others
by their full path or URL, so that the file is self-contained. If the classes are ordered, the column `label_rank` holds
the order.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from obverse.errors import OutputError
from obverse.files import open_regular, written_aside

from .manifest import LABEL_RANK, RESERVED, SET_RESERVED, Manifest
from .sample import Finding
from .samples import Column, Samples
from .store import relocate, remote_url


def require_free(path: Path, *, force: bool) -> None:
    """OutputError when `path` exists. force: an existing manifest may be replaced, but no other file."""
    if os.path.lexists(path):
        if not is_prepared(path):
            raise OutputError(f"{str(path)!r} exists and is no manifest; choose another file with --out")
        if not force:
            raise OutputError(f"{str(path)!r} exists; --force replaces it and what was changed in it, or choose --out")
    if not path.parent.is_dir():
        raise OutputError(f"{str(path.parent)!r} is no folder; make it first, or choose another --out")


def write_prepared(manifest: Manifest, path: Path) -> None:
    """Write the manifest to `path` atomically."""
    views = {view: _relocated(column, manifest.root, path) for view, column in manifest.samples.views.items()}
    samples = replace(manifest.samples, views=views)
    if manifest.ordered:
        ranks = tuple(str(manifest.class_index[label]) for label in samples.labels)
        samples = replace(samples, extra={**samples.extra, LABEL_RANK: ranks})
    try:
        with written_aside(path) as aside:
            replace(manifest, samples=samples).write(aside)
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}; choose another with --out") from None


def is_prepared(path: Path) -> bool:
    """Whether the file begins with a manifest's header."""
    with suppress(OSError), open_regular(path) as file:
        starts = tuple(",".join(names).encode() + b"," for names in (RESERVED, SET_RESERVED))
        return file.read(max(map(len, starts))).startswith(starts)
    return False


def changed_pictures(samples: Samples, given: Column) -> list[Finding]:
    """Error findings for samples whose content differs from the digest recorded in a prepared manifest."""
    pairs = zip(samples, given, strict=True)
    return [
        Finding(
            "error",
            "changed",
            f"sample {sample.id!r} is not the picture that the manifest recorded; prepare again, or empty its digest",
            tuple(sample.views.values()),
        )
        for sample, digest in pairs
        if digest is not None and digest != sample.digest
    ]


def _relocated(column: Column, root: Path, path: Path) -> Column:
    """Locators relative to `root`, rewritten for a manifest at `path`."""
    home = os.path.join(os.path.abspath(path.parent), "")

    def place(name: str) -> str:
        if remote_url(name):
            return name
        if url := remote_url(root):
            return f"{url}{'' if url.endswith('/') else '/'}{name}"
        return os.path.abspath(os.path.join(root, name)).removeprefix(home)

    return tuple(None if cell is None else relocate(cell, place) for cell in column)
