"""Source: one JSON index per class, `index_<class>.json`, which lists pictures under the key "good".

Listed paths may be those of originals elsewhere. A path map, `data.path_map` in the recipe or `path_map.json` beside
the indexes, replaces folders or files; the longest match counts. A listed file that does not exist is reported and left
out. A sample's id contains the listed path, so that its split does not depend on where the file is now.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from obverse.errors import DataError
from obverse.manifest.names import composed
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Samples
from obverse.manifest.sources.folders.tree import Tree
from obverse.manifest.sources.folders.words import SPLIT_WORDS, split_folders
from obverse.manifest.sources.listing import Listing
from obverse.manifest.sources.source import Source, one_view
from obverse.manifest.store import remote_url
from obverse.recipe import DataSpec

from .rows import parse_json

INDEX_NAME = re.compile(r"index_(.+)\.json", re.IGNORECASE)
KEY = "good"
MAP_NAME = "path_map.json"


def index_names(tree: Tree) -> list[str]:
    """Names of the index files near the top of the tree."""
    return [name for name in tree.others if INDEX_NAME.fullmatch(posixpath.basename(name))]


def read_json_indexes(tree: Tree, path_map: Mapping[str, str]) -> Listing:
    """The listing of all indexes.

    DataError when an index is no JSON or lacks the key, or when no listed file exists.
    """
    names = index_names(tree)
    if not names:
        raise DataError(f"{tree.title} holds no index_<class>.json, and data.layout is `json-index`")
    mapping = _PathMap({**_map_file(tree, posixpath.dirname(names[0])), **path_map})
    findings = list(tree.findings)
    folders = {posixpath.dirname(name) for name in names}
    is_divided = len(folders) > 1
    splits = SPLIT_WORDS | split_folders({posixpath.basename(folder) for folder in folders})
    samples = Samples.of(
        replace(sample, id=f"{posixpath.dirname(name)}/{sample.id}") if is_divided else sample
        for name in names
        for sample in _read_class(tree, name, mapping, splits, findings)
    )
    if not len(samples):
        missing = next((finding.paths[0] for finding in findings if finding.code == "missing-file"), None)
        if missing is None:
            raise DataError(f"{tree.title}: the indexes list no pictures")
        raise DataError(f"{tree.title}: none of the pictures that the indexes list is there, for example {missing!r}; "
                        "say where they lie with data.path_map")  # fmt: skip
    num_classes = len({posixpath.basename(name) for name in names})
    summary = (
        f"one JSON index per class ({posixpath.basename(names[0])} ...): {num_classes} classes, {len(samples)} pictures"
    )
    return Listing(tree.root, samples, ("image",), summary, "json-index", findings)


def _read_class(
    tree: Tree, name: str, mapping: _PathMap, splits: Mapping[str, str], findings: list[Finding]
) -> Iterator[Sample]:
    match = INDEX_NAME.fullmatch(posixpath.basename(name))
    assert match is not None
    label, base = match[1], posixpath.dirname(name)
    folder = posixpath.basename(base)
    split = splits.get(folder) or splits.get(folder.lower())
    listed = _listed(tree, name)
    missing, names = [], dict.fromkeys(listed)
    for original in names:
        path = mapping(original)
        if not os.path.isabs(path) and not remote_url(path):
            path = posixpath.normpath(posixpath.join(base, path))
        path = tree.spelled(path)
        if tree.has(path):
            yield Sample(f"{label}/{original}", label, {"image": tree.locator(path)}, split=split)
        else:
            missing.append(path)
    if missing:
        message = f"{len(missing)} of {len(names)} pictures that {name} lists are not there and are left out"
        findings.append(Finding("warning", "missing-file", message, tuple(missing)))
    if len(names) < len(listed):
        message = f"{name} lists {len(listed) - len(names)} picture(s) twice; each counts once"
        findings.append(Finding("note", "listed-twice", message))


def _listed(tree: Tree, name: str) -> list[str]:
    values = parse_json(tree.read(name), tree.title_of(name))
    entries = values.get(KEY) if isinstance(values, dict) else None
    if not isinstance(entries, list) or not all(isinstance(_path(entry), str) for entry in entries):
        raise DataError(
            f"{tree.title_of(name)} is no class index: expected an object with the key {KEY!r} and a list of paths"
        )
    return [str(_path(entry)) for entry in entries]


def _path(entry: Any) -> Any:
    return entry.get("path") if isinstance(entry, dict) else entry


def _map_file(tree: Tree, folder: str) -> dict[str, str]:
    name = posixpath.join(folder, MAP_NAME)
    if name not in tree.others:
        return {}
    values = parse_json(tree.read(name), tree.title_of(name))
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise DataError(f"{tree.title_of(name)}: expected an object of original path: new path")
    return values


class _PathMap:
    """Function that replaces the longest mapped prefix of a path; a prefix ends at a `/` or at the end of the path."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self.pairs = {composed(old.rstrip("/")): new.rstrip("/") for old, new in pairs.items()}

    def __call__(self, path: str) -> str:
        path = composed(path)
        end = len(path)
        while self.pairs and end > 0:
            if path[:end] in self.pairs:
                return self.pairs[path[:end]] + path[end:]
            end = path.rfind("/", 0, end)
        return path


def is_source(tree: Tree) -> bool:
    """Whether the tree has class indexes near its top."""
    return bool(index_names(tree))


def read(tree: Tree, views: Sequence[str] | None, spec: DataSpec) -> Listing:
    """Listing of all indexes, with one view."""
    return one_view(read_json_indexes(tree, spec.path_map), views)


SOURCE = Source(read, is_source)
