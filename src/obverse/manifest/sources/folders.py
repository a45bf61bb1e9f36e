"""Folders as a source: root/[split/]class[/class...]/[view or WxH/]picture.

Detection (architecture page): sub-folders are views when they carry known view words, are named by the user, or when
at least 90 % of the stems pair across them; `<W>x<H>` folders are sizes; anything else nested is part of the class.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from obverse.errors import DataError
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Samples

from .listing import Folder, Listing, stem_key, walk_folders

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
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder of pictures with the split and the wrapper folders taken off: parts names class and view."""

    pictures: list[str]
    split: str | None
    parts: tuple[str, ...]


def read_folders(root: Path, *, layout: str = "auto", views: Sequence[str] | None = None) -> Listing:
    """Read a folder tree. layout: auto, class-folders or view-folders; views: names given by the user, or None.

    Raises DataError when there is no picture, or when the layout asked for is not there.
    """
    folders = list(walk_folders(root))
    if not folders:
        raise DataError(f"no pictures below {str(root)!r}: expected {root.name}/<class>/picture.jpg")
    view_words = [] if layout == "class-folders" else [set(words) for words in VIEW_WORDS]
    view_words += [{name.lower() for name in views}] if views else []
    places, said = _take_apart(folders, view_words)
    findings = _left_out([place for place in places if not place.parts], "class folder")
    places = [place for place in places if place.parts]
    names = _view_names(places, views) if layout != "class-folders" else None
    if layout == "view-folders" and names is None:
        raise DataError(f"no view folders below {str(root)!r}: expected {root.name}/<class>/{{obverse,reverse}}/...")
    if names is None:
        return _by_class(root, places, said, findings)
    return _by_view(root, places, names, said, findings)


def _left_out(places: Sequence[_Place], what: str) -> list[Finding]:
    paths = tuple(path for place in places for path in place.pictures)
    message = f"{len(paths)} picture(s) lie outside any {what} and are left out"
    return [Finding("note", "loose-picture", message, paths)] if paths else []


def _take_apart(folders: Sequence[Folder], view_words: Sequence[set[str]]) -> tuple[list[_Place], str]:
    """Wrapper folders and split folders off the front; what is left names class and view.

    A lone folder that holds nothing but views or sizes is a class, not a wrapper.
    """
    depth = 0
    while min(len(f.parts) for f in folders) > depth + 1 and len({f.parts[depth] for f in folders}) == 1:
        below = {"/".join(f.parts[depth + 1 :]).lower() for f in folders}
        if below in view_words or all(map(SIZE_FOLDER.fullmatch, below)):
            break
        depth += 1
    said = f"inside {'/'.join(folders[0].parts[:depth])}/, " if depth else ""
    found = {f.parts[depth].lower() for f in folders if len(f.parts) > depth}
    if "train" in {SPLIT_WORDS.get(name) for name in found} and found <= set(SPLIT_WORDS):
        inside = [f for f in folders if len(f.parts) > depth]
        places = [_Place(f.pictures, SPLIT_WORDS[f.parts[depth].lower()], f.parts[depth + 1 :]) for f in inside]
        return places, f"{said}split folders {', '.join(sorted(found))}, "
    return [_Place(f.pictures, None, f.parts[depth:]) for f in folders], said


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
    num_paired = num_stems = 0
    for _, folders in _objects(places):
        holders: dict[str, set[str]] = defaultdict(set)
        for place in folders:
            for path in place.pictures:
                holders[stem_key(path)].add(place.parts[-1].lower())
        num_paired += sum(1 for found in holders.values() if found == leaves)
        num_stems += len(holders)
    return num_paired >= PAIRING_SHARE * num_stems


def _objects(places: Sequence[_Place]) -> list[tuple[tuple[str | None, str], list[_Place]]]:
    """(split, class) and its view folders, in the order of `places`."""
    beside: dict[tuple[str | None, str], list[_Place]] = defaultdict(list)
    for place in places:
        beside[place.split, "/".join(place.parts[:-1])].append(place)
    return list(beside.items())


def _by_class(root: Path, places: Sequence[_Place], said: str, findings: list[Finding]) -> Listing:
    classes = ["/".join(place.parts[: -1 if _is_size(place) else None]) for place in places]
    paths = tuple(path for place in places for path in place.pictures)
    labels = _per_picture(places, classes)
    samples = Samples.from_columns(paths, labels, {"image": paths})
    if any(place.split for place in places):
        samples = samples.with_columns(splits=_per_picture(places, [place.split for place in places]))
    said += f"one class per folder: {len(set(classes))} classes, {len(samples)} pictures"
    return Listing(root, samples, ("image",), said, "class-folders", findings)


def _is_size(place: _Place) -> bool:
    return len(place.parts) > 1 and SIZE_FOLDER.fullmatch(place.parts[-1]) is not None


def _per_picture(places: Sequence[_Place], values: Sequence[T]) -> Iterator[T]:
    """The value of each picture's folder."""
    pairs = zip(places, values, strict=True)
    return (value for place, value in pairs for _ in place.pictures)


def _by_view(
    root: Path, places: Sequence[_Place], names: tuple[str, ...], said: str, findings: list[Finding]
) -> Listing:
    spelled = {name.lower(): name for name in names}
    strays = [place for place in places if place.parts[-1].lower() not in spelled]
    findings = [*findings, *_left_out(strays, "view folder")]
    inside = [place for place in places if place.parts[-1].lower() in spelled]
    paired = (sample for key, beside in _objects(inside) for sample in _pair(key, beside, spelled, findings))
    samples = Samples.of(paired)
    said += f"view folders {', '.join(names)} in each class: {len(set(samples.labels))} classes, "
    return Listing(root, samples, names, said + f"{len(samples)} samples", "view-folders", findings)


def _pair(
    key: tuple[str | None, str], beside: Sequence[_Place], spelled: Mapping[str, str], findings: list[Finding]
) -> Iterator[Sample]:
    """The objects of one class; a stem with two pictures of one view is a finding instead."""
    split, label = key
    objects: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for place in beside:
        view = spelled[place.parts[-1].lower()]
        for path in place.pictures:
            objects[stem_key(path)].setdefault(view, []).append(path)
    for stem, found in objects.items():
        doubled = [paths for paths in found.values() if len(paths) > 1]
        if doubled:
            message = f"{label}/{stem}: {len(doubled[0])} pictures could be the same view; rename or remove all but one"
            findings.append(Finding("error", "ambiguous-pair", message, tuple(itertools.chain(*doubled))))
            continue
        name = f"{split}/{label}/{stem}" if split else f"{label}/{stem}"
        yield Sample(name, label, {view: found[view][0] for view in spelled.values() if view in found}, split)
