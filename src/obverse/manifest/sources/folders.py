"""Folders as a source: root/[split/]class[/class...]/[view or WxH/]picture.

Detection (architecture page): sub-folders are views when they carry known view words, are named by the user, or when
at least 90 % of the stems pair across them; `<W>x<H>` folders are sizes; anything else nested is part of the class.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.errors import DataError
from obverse.manifest.sample import Finding, Sample

from .listing import Listing, stem_key, walk_pictures

VIEW_WORDS = (
    ("obverse", "reverse"),
    ("obv", "rev"),
    ("front", "back"),
    ("left", "right"),
    ("top", "bottom"),
    ("top", "side"),
    ("inside", "outside"),
)
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
SIZE_FOLDER = re.compile(r"\d{2,5}x\d{2,5}")
PAIRING_SHARE = 0.9


@dataclass(frozen=True)
class _Place:
    """A picture's path taken apart."""

    path: str
    split: str | None
    parts: tuple[str, ...]


def read_folders(root: Path, *, layout: str = "auto", views: Sequence[str] | None = None) -> Listing:
    """Read a folder tree. layout: auto, class-folders or view-folders; views: names given by the user, or None.

    Raises DataError when there is no picture, or when the layout asked for is not there.
    """
    paths = list(walk_pictures(root))
    if not paths:
        raise DataError(f"no pictures below {str(root)!r}: expected {root.name}/<class>/picture.jpg")
    view_words = [] if layout == "class-folders" else [set(words) for words in VIEW_WORDS]
    view_words += [{name.lower() for name in views}] if views else []
    places, said = _take_apart(paths, view_words)
    loose = [place.path for place in places if not place.parts]
    places = [place for place in places if place.parts]
    findings = _left_out(loose, "class folder")
    names = _view_names(places, views) if layout != "class-folders" else None
    if layout == "view-folders" and names is None:
        raise DataError(f"no view folders below {str(root)!r}: expected {root.name}/<class>/{{obverse,reverse}}/...")
    if names is None:
        return _by_class(root, places, said, findings)
    return _by_view(root, places, names, said, findings)


def _left_out(paths: Sequence[str], what: str) -> list[Finding]:
    message = f"{len(paths)} picture(s) lie outside any {what} and are left out"
    return [Finding("note", "loose-picture", message, tuple(paths))] if paths else []


def _take_apart(paths: Sequence[str], view_words: Sequence[set[str]]) -> tuple[list[_Place], str]:
    """Wrapper folders and split folders off the front; what is left names class and view.

    A lone folder that holds nothing but views or sizes is a class, not a wrapper.
    """
    split_parts = [tuple(path.split("/")[:-1]) for path in paths]
    depth = 0
    while min(map(len, split_parts)) > depth + 1 and len({parts[depth] for parts in split_parts}) == 1:
        below = {"/".join(parts[depth + 1 :]).lower() for parts in split_parts}
        if below in view_words or all(map(SIZE_FOLDER.fullmatch, below)):
            break
        depth += 1
    said = f"inside {'/'.join(split_parts[0][:depth])}/, " if depth else ""
    folders = {parts[depth].lower() for parts in split_parts if len(parts) > depth}
    if "train" in {SPLIT_WORDS.get(name) for name in folders} and folders <= set(SPLIT_WORDS):
        kept = [(p, parts) for p, parts in zip(paths, split_parts, strict=True) if len(parts) > depth]
        places = [_Place(p, SPLIT_WORDS[parts[depth].lower()], parts[depth + 1 :]) for p, parts in kept]
        return places, f"{said}split folders {', '.join(sorted(folders))}, "
    return [_Place(p, None, parts[depth:]) for p, parts in zip(paths, split_parts, strict=True)], said


def _view_names(places: Sequence[_Place], given: Sequence[str] | None) -> tuple[str, ...] | None:
    """The view names, in order, when the deepest folders are views."""
    leaves = {place.parts[-1].lower() for place in places if len(place.parts) > 1}
    strays = {place.parts for place in places if len(place.parts) == 1}
    if not leaves or not strays <= {place.parts[:-1] for place in places}:
        return None
    if given is not None:
        return tuple(given) if {name.lower() for name in given} & leaves else None
    if len(leaves) < 2 or all(SIZE_FOLDER.fullmatch(leaf) for leaf in leaves):
        return None
    for words in VIEW_WORDS:
        if leaves == set(words):
            return words
    return tuple(sorted(leaves)) if not strays and _stems_pair(places, leaves) else None


def _stems_pair(places: Sequence[_Place], leaves: set[str]) -> bool:
    """Whether at least 90 % of the stems of every class occur in all of the (few) leaf folders."""
    if len(leaves) > 8:
        return False
    holders: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    for place in places:
        holders[place.parts[:-1], stem_key(place.path)].add(place.parts[-1].lower())
    paired = sum(1 for found in holders.values() if found == leaves)
    return paired >= PAIRING_SHARE * len(holders)


def _by_class(root: Path, places: Sequence[_Place], said: str, findings: list[Finding]) -> Listing:
    samples = []
    for place in places:
        is_size = len(place.parts) > 1 and SIZE_FOLDER.fullmatch(place.parts[-1])
        label = "/".join(place.parts[:-1] if is_size else place.parts)
        samples.append(Sample(id=place.path, label=label, views={"image": place.path}, split=place.split))
    said += f"one class per folder: {len({s.label for s in samples})} classes, {len(samples)} pictures"
    return Listing(root, samples, ("image",), said, "class-folders", findings)


def _by_view(
    root: Path, places: Sequence[_Place], names: tuple[str, ...], said: str, findings: list[Finding]
) -> Listing:
    spelled = {name.lower(): name for name in names}
    objects: dict[tuple[str | None, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    findings = [*findings, *_left_out([p.path for p in places if p.parts[-1].lower() not in spelled], "view folder")]
    for place in places:
        view = spelled.get(place.parts[-1].lower())
        if view is not None:
            key = (place.split, "/".join(place.parts[:-1]), stem_key(place.path))
            objects[key][view].append(place.path)
    samples = []
    for (split, label, stem), found in objects.items():
        doubled = [paths for paths in found.values() if len(paths) > 1]
        if doubled:
            message = f"{label}/{stem}: {len(doubled[0])} pictures could be the same view; rename or remove all but one"
            findings.append(Finding("error", "ambiguous-pair", message, tuple(itertools.chain(*doubled))))
            continue
        name = f"{split}/{label}/{stem}" if split else f"{label}/{stem}"
        views = {view: found[view][0] for view in names if view in found}
        samples.append(Sample(id=name, label=label, views=views, split=split))
    said += f"view folders {', '.join(names)} in each class: {len({s.label for s in samples})} classes, "
    return Listing(root, samples, names, said + f"{len(samples)} samples", "view-folders", findings)
