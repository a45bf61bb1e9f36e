"""Findings from file names alone: clashes on other systems, hidden and system files, link loops."""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from obverse.imaging import is_picture_name, is_unclear_name
from obverse.manifest.names import composed, is_left_out
from obverse.manifest.sample import Finding
from obverse.manifest.sources.folders.unread import holds_picture


def tree_findings(root: Path) -> list[Finding]:
    """Findings about hidden files, link loops and other files that are no pictures. Link loops are not followed."""
    paths_of: dict[str, list[str]] = {"hidden-file": [], "symlink-loop": [], "other-file": []}
    _visit(str(root), "", (), paths_of)
    message_of = {
        "hidden-file": ("note", "hidden or system file(s), left out"),
        "symlink-loop": ("warning", "link(s) that lead back into a folder above or to themselves, not followed"),
        "other-file": ("note", "file(s) that are no pictures, left out"),
    }
    return [
        Finding(message_of[code][0], code, f"{len(paths)} {message_of[code][1]}", tuple(paths))
        for code, paths in paths_of.items()
        if paths
    ]


def _visit(folder: str, prefix: str, above: tuple[tuple[int, int], ...], paths_of: dict[str, list[str]]) -> None:
    try:
        status = os.stat(folder)
        with os.scandir(folder) as opened:
            entries = sorted(opened, key=lambda entry: entry.name)
    except OSError:
        return  # reported as an error when the source is read
    above = (*above, (status.st_dev, status.st_ino))
    for entry in entries:
        path = prefix + entry.name
        if is_left_out(entry.name):
            paths_of["hidden-file"].append(path)
        elif entry.is_symlink() and _leads_up(entry, above):
            paths_of["symlink-loop"].append(path)
        elif entry.is_dir():
            _visit(entry.path, f"{path}/", above, paths_of)
        elif not is_picture_name(entry.name) and not (is_unclear_name(entry.name) and holds_picture(entry.path)):
            paths_of["other-file"].append(path)


def _leads_up(entry: os.DirEntry[str], above: tuple[tuple[int, int], ...]) -> bool:
    try:
        status = entry.stat()
    except OSError as error:
        return error.errno == errno.ELOOP  # a link to itself; a broken link is no loop
    return (status.st_dev, status.st_ino) in above


def name_findings(paths: Iterable[str]) -> list[Finding]:
    """Findings for names that clash on systems that ignore case or normalise Unicode (Windows, macOS)."""
    names = set(paths)
    folders = {path.rpartition("/")[0] for path in names}
    while folders:
        names |= folders
        folders = {name.rpartition("/")[0] for name in folders} - {""}
    case = _clashes(names, str.casefold)
    accents = _clashes((name for name in names if not name.isascii()), composed)
    return [
        *(Finding("warning", "case-clash", f"{_quoted(group)} differ only in case", tuple(group)) for group in case),
        *(
            Finding("warning", "unicode-clash", f"{_quoted(group)} look the same and are spelled in different Unicode "
                    "forms", tuple(group))
            for group in accents
        ),
    ]  # fmt: skip


def _clashes(names: Iterable[str], key: Callable[[str], str]) -> Iterator[list[str]]:
    """Yield groups of names with the same key and in the same folder.

    Files below two clashing folders are left out, because the folders are reported.
    """
    names = list(names)
    # Hashes first, so that keys of many names need not be kept in memory.
    seen: set[int] = set()
    twice: set[int] = set()
    for hashed in (hash(key(name)) for name in names):
        (twice if hashed in seen else seen).add(hashed)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names if twice else ():
        if hash(key(name)) in twice:
            groups[key(name)].append(name)
    for group in sorted(sorted(group) for group in groups.values() if len(group) > 1):
        if len({name.rpartition("/")[0] for name in group}) == 1:
            yield group


def _quoted(group: list[str]) -> str:
    return " and ".join(repr(name) for name in group)
