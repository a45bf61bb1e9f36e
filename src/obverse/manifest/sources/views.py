"""Several views of an object in a folder tree: a sub-folder per view, a suffix per view, or parts of one picture.

Sub-folders are views when they carry known view words, are named by the user, or when at least 90 % of the stems pair
across them. Suffixes (`coin7_obv.jpg`) are views when they are known view words or named by the user, and 90 % pair.
Parts (halves, tiles) are never guessed.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from obverse.imaging import Part
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Samples
from obverse.manifest.store import add_step

from .listing import Listing, stem_key
from .places import SIZE_FOLDER, Place
from .tree import Tree
from .words import VIEW_WORDS

PAIRING_SHARE = 0.9
MAX_VIEWS = 8
SEPARATORS = "_-. "
# A picture's view in lower case, the stem that its object shares, its name.
Shot = tuple[str, str, str]
# (split, class) -> its folders.
Classes = dict[tuple[str | None, str], list[Place]]


@dataclass(frozen=True)
class Views:
    """names in order, why they are taken for views, and `shots`: the pictures of a folder that are some view.

    Shots are made class by class, because there may be very many.
    """

    names: tuple[str, ...]
    why: str
    classes: Classes
    shots: Callable[[Place], Iterator[Shot]]
    strays: list[str]

    def paired_share(self) -> float:
        """The share of objects that have all views."""
        num_paired = num_objects = 0
        for places in self.classes.values():
            holders: dict[str, set[str]] = defaultdict(set)
            for view, stem, _ in itertools.chain.from_iterable(map(self.shots, places)):
                holders[stem].add(view)
            num_paired += sum(1 for found in holders.values() if len(found) == len(self.names))
            num_objects += len(holders)
        return num_paired / max(1, num_objects)


def folder_views(places: Sequence[Place], given: Sequence[str] | None) -> Views | None:
    """The views, when the deepest folders are views."""
    leaves = {place.parts[-1].lower() for place in places if len(place.parts) > 1}
    strays = {place.parts for place in places if len(place.parts) == 1}
    if not leaves or not strays <= {place.parts[:-1] for place in places}:
        return None
    if given is not None:
        is_named = bool({name.lower() for name in given} & leaves)
        return _by_folder(places, given, "as data.views says") if is_named else None
    if len(leaves) < 2 or all(SIZE_FOLDER.fullmatch(leaf) for leaf in leaves):
        return None
    for words in VIEW_WORDS:
        if leaves == set(words):
            return _by_folder(places, words, "known view words")
    if strays or len(leaves) > MAX_VIEWS:
        return None
    views = _by_folder(places, sorted(leaves), "at least 90 % of the file names pair")
    return views if views.paired_share() >= PAIRING_SHARE else None


def suffix_views(places: Sequence[Place], given: Sequence[str] | None, *, is_told: bool) -> Views | None:
    """The views, when file names end in view words. is_told: the layout is given, so a single such name will do."""
    num_pictures = sum(len(place.pictures) for place in places)
    any_word = [word for words in VIEW_WORDS for word in words]
    if given is None and not is_told and _without_suffix(places, any_word, at_most=num_pictures // 10) is None:
        return None
    for words in [tuple(given)] if given is not None else VIEW_WORDS:
        strays = _without_suffix(places, words, at_most=num_pictures - 1 if is_told else num_pictures // 10)
        if strays is None:
            continue
        views = _by_suffix(places, words, strays)
        if is_told or views.paired_share() >= PAIRING_SHARE:
            return views
    return None


def _by_folder(places: Sequence[Place], names: Sequence[str], why: str) -> Views:
    known = {name.lower() for name in names}
    classes: Classes = defaultdict(list)
    strays: list[str] = []
    for place in places:
        if place.parts[-1].lower() in known:
            classes[place.split, "/".join(place.parts[:-1])].append(place)
        else:
            strays += place.pictures

    def shots(place: Place) -> Iterator[Shot]:
        view = place.parts[-1].lower()
        return ((view, stem_key(path), path) for path in place.pictures)

    return Views(tuple(names), why, classes, shots, strays)


def _by_suffix(places: Sequence[Place], names: Sequence[str], strays: list[str]) -> Views:
    pattern = _suffix_pattern(names)
    classes: Classes = defaultdict(list)
    for place in places:
        classes[place.split, place.label].append(place)

    def shots(place: Place) -> Iterator[Shot]:
        for path in place.pictures:
            if found := pattern.fullmatch(stem_key(path)):
                yield found[2], found[1], path

    return Views(tuple(names), "file names end in them", classes, shots, strays)


def _without_suffix(places: Sequence[Place], names: Sequence[str], *, at_most: int) -> list[str] | None:
    """The pictures that do not end in one of `names`; None as soon as they are more than `at_most`."""
    pattern = _suffix_pattern(names)
    strays: list[str] = []
    for path in itertools.chain.from_iterable(place.pictures for place in places):
        if not pattern.fullmatch(stem_key(path)):
            strays.append(path)
            if len(strays) > at_most:
                return None
    return strays


def _suffix_pattern(names: Sequence[str]) -> re.Pattern[str]:
    words = "|".join(re.escape(name.casefold()) for name in names)
    return re.compile(rf"(.+)[{re.escape(SEPARATORS)}]({words})", re.DOTALL)


def read_views(tree: Tree, views: Views, findings: list[Finding]) -> Samples:
    """Objects whose views share a stem within a class; a stem with two pictures of one view is a finding instead."""
    spelled = {name.lower(): name for name in views.names}
    return Samples.of(
        sample
        for key, places in views.classes.items()
        for sample in _pair(tree, key, itertools.chain.from_iterable(map(views.shots, places)), spelled, findings)
    )


def _pair(
    tree: Tree, key: tuple[str | None, str], shots: Iterable[Shot], spelled: dict[str, str], findings: list[Finding]
) -> Iterator[Sample]:
    split, label = key
    objects: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for view, stem, path in shots:
        objects[stem].setdefault(spelled[view], []).append(tree.locator(path))
    for stem, found in objects.items():
        doubled = [paths for paths in found.values() if len(paths) > 1]
        if doubled:
            message = f"{label}/{stem}: {len(doubled[0])} pictures could be the same view; rename or remove all but one"
            findings.append(Finding("error", "ambiguous-pair", message, tuple(itertools.chain(*doubled))))
            continue
        name = f"{split}/{label}/{stem}" if split else f"{label}/{stem}"
        yield Sample(name, label, {view: found[view][0] for view in spelled.values() if view in found}, split)


def in_parts(listing: Listing, names: Sequence[str], parts: Sequence[Part]) -> Listing:
    """Every picture of a listing with one view as several views, its parts."""
    samples = Samples.of(listing.samples)
    (pictures,) = samples.views.values()
    columns = {
        name: tuple(None if picture is None else add_step(picture, *part.step) for picture in pictures)
        for name, part in zip(names, parts, strict=True)
    }
    # What a manifest recorded is the digest of the whole picture.
    return replace(listing, samples=replace(samples, views=columns, digests=(None,) * len(samples)), views=tuple(names))
