"""Detection of views in a folder tree: a sub-folder per view, a suffix per view, or parts of one picture.

Sub-folders are views when they carry known view words, are named by the user, or when at least 90 % of the stems pair
across them. Suffixes (`coin7_obv.jpg`) are views when they are known view words or named by the user, and 90 % pair.
Parts (halves, tiles) are never guessed.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from obverse.imaging import Part
from obverse.manifest.names import name_key
from obverse.manifest.sample import Finding, Sample
from obverse.manifest.samples import Samples
from obverse.manifest.sources.listing import Listing, stem_key
from obverse.manifest.sources.places import SIZE_FOLDER, STRAY_SHARE, Place
from obverse.manifest.store import add_step

from .tree import Tree
from .words import VIEW_WORDS

PAIRING_SHARE = 0.9
MAX_VIEWS = 8
SEPARATORS = "_-. "
# Words that cameras and crawlers put before a number.
COUNTED_WORDS = frozenset(
    {"img", "image", "pic", "picture", "photo", "frame", "scan", "dsc", "dscn", "dscf", "p", "file"}
)
COUNT_SEPARATORS = SEPARATORS + "()[]#"
# (view in lower case, stem shared by the pictures of one object, name of the picture).
Shot = tuple[str, str, str]
# (split, class) -> its folders.
Classes = dict[tuple[str | None, str], list[Place]]


@dataclass(frozen=True)
class Views:
    """Detected views."""

    names: tuple[str, ...]
    """Names of the views, in order."""

    why: str
    """Evidence for the detection, for messages."""

    classes: Classes
    """(split, class) -> its folders."""

    shots: Callable[[Place], Iterator[Shot]]
    """Generator of the pictures of a folder that belong to a view; lazy, because there may be very many."""

    strays: list[str]
    """Pictures that belong to no view."""

    def paired_share(self) -> float:
        """Fraction of the objects that have all views."""
        num_paired = num_objects = 0
        for places in self.classes.values():
            holders: dict[str, set[str]] = defaultdict(set)
            for view, stem, _ in itertools.chain.from_iterable(map(self.shots, places)):
                holders[stem].add(view)
            num_paired += sum(1 for present in holders.values() if len(present) == len(self.names))
            num_objects += len(holders)
        return num_paired / max(1, num_objects)

    def are_in_classes(self) -> bool:
        """Whether at least two classes remain and at least half of them have all views.

        Otherwise the folders are classes themselves.
        """
        folders: dict[str, set[str]] = defaultdict(set)
        for (_, label), places in self.classes.items():
            folders[label].update(view for place in places for view, _, _ in itertools.islice(self.shots(place), 1))
        num_complete = sum(1 for present in folders.values() if len(present) == len(self.names))
        return len(folders) > 1 and 2 * num_complete >= len(folders)


def folder_views(
    places: Sequence[Place], given: Sequence[str] | None, *, is_explicit: bool = False
) -> tuple[Views | None, list[Finding]]:
    """Views that are the deepest folders or the topmost ones, above the classes, or None; and findings.

    given: names of the views, or None.
    is_explicit: the user has named the layout; one class is enough, and there are no warnings.
    """
    if given is not None:
        return _given_views(places, given), []
    for find in (_known_below, _known_above):
        detected = find(places, is_explicit=is_explicit)
        if detected is not None:
            return detected
    return _views_by_pairing(places, is_explicit=is_explicit)


def _given_views(places: Sequence[Place], given: Sequence[str]) -> Views | None:
    names = {name_key(name) for name in given}
    nested = [place for place in places if len(place.parts) > 1]
    if names & {name_key(place.parts[-1]) for place in nested} and _are_beside(places):
        return _by_folder(places, given, "as data.views says")
    if names & {name_key(place.parts[0]) for place in nested}:
        return _by_folder(places, given, "above the classes, as data.views says", at=0)
    return None


def _known_below(places: Sequence[Place], *, is_explicit: bool) -> tuple[Views, list[Finding]] | None:
    """Views `<class>/{obverse,reverse}/`, named by view words; None unless `are_in_classes` or `is_explicit`."""
    leaves = _leaves(places)
    words = next((words for words in VIEW_WORDS if leaves == set(words)), None)
    if words is None or not _are_beside(places):
        return None
    views = _by_folder(places, words, "known view words")
    return (views, []) if is_explicit or views.are_in_classes() else None


def _known_above(places: Sequence[Place], *, is_explicit: bool) -> tuple[Views, list[Finding]] | None:
    """Views `{obverse,reverse}/<class>/`, named by view words; None unless `are_in_classes` or `is_explicit`."""
    firsts = {name_key(place.parts[0]) for place in places if len(place.parts) > 1}
    words = next((words for words in VIEW_WORDS if firsts == set(words)), None)
    num_loose = sum(len(place.pictures) for place in places if len(place.parts) == 1)
    if words is None or num_loose > STRAY_SHARE * sum(len(place.pictures) for place in places):
        return None
    views = _by_folder(places, words, "known view words above the classes", at=0)
    if not is_explicit and not views.are_in_classes():
        return None
    if is_explicit or (views.paired_share() >= PAIRING_SHARE and not _are_counted(places)):
        return views, []
    message = (f"the folders {' and '.join(words)} above the classes are taken as views of one object; if they are "
               "part of the class: data.layout=class-folders")  # fmt: skip
    return views, [Finding("warning", "guessed-views", message)]


def _views_by_pairing(places: Sequence[Place], *, is_explicit: bool) -> tuple[Views | None, list[Finding]]:
    """Views that are folders whose file names pair. Names that only count (`001.jpg`) pair by accident: no views."""
    leaves = _leaves(places)
    if not 2 <= len(leaves) <= MAX_VIEWS or any(len(place.parts) == 1 for place in places):
        return None, []
    if all(SIZE_FOLDER.fullmatch(leaf) for leaf in leaves):
        return None, []
    views = _by_folder(places, sorted(leaves), "at least 90 % of the file names pair")
    if views.paired_share() < PAIRING_SHARE or not (is_explicit or views.are_in_classes()):
        return None, []
    names = ", ".join(views.names)
    if is_explicit:
        return views, []
    if _are_counted(places):
        message = (f"the folders {names} are taken as part of the class, because their file names are only numbered; "
                   f"if they are views of one object: data.views=[{','.join(views.names)}]")  # fmt: skip
        return None, [Finding("note", "guessed-classes", message)]
    message = (f"the folders {names} are taken as views of one object, only because their file names pair; if they are "
               "classes: data.layout=class-folders")  # fmt: skip
    return views, [Finding("warning", "guessed-views", message)]


def _leaves(places: Sequence[Place]) -> set[str]:
    return {name_key(place.parts[-1]) for place in places if len(place.parts) > 1}


def _are_beside(places: Sequence[Place]) -> bool:
    """Whether every picture that lies in no deeper folder lies directly in a class that has such folders."""
    return {p.parts for p in places if len(p.parts) == 1} <= {p.parts[:-1] for p in places}


def _are_counted(places: Sequence[Place]) -> bool:
    """Whether most file names are only numbered.

    Such a name is a number, alone or after one letter, a word of COUNTED_WORDS or the name of its folder.
    """
    num_counted = num_pictures = 0
    for place in places:
        words = {name_key(part).rstrip(COUNT_SEPARATORS) for part in place.parts} | COUNTED_WORDS
        num_counted += sum(_is_counted(stem_key(path), words) for path in place.pictures)
        num_pictures += len(place.pictures)
    return 2 * num_counted > num_pictures


def _is_counted(stem: str, words: Collection[str]) -> bool:
    name = stem.rstrip(COUNT_SEPARATORS)
    rest = name.rstrip("0123456789")
    prefix = rest.rstrip(COUNT_SEPARATORS)
    return rest != name and (len(prefix.lstrip(COUNT_SEPARATORS)) < 2 or prefix in words)


def suffix_views(places: Sequence[Place], given: Sequence[str] | None, *, is_explicit: bool) -> Views | None:
    """Views marked by view words at the end of file names, or None.

    is_explicit: the user has named the layout; one picture with such a name is enough.
    """
    num_pictures = sum(len(place.pictures) for place in places)
    any_word = [word for words in VIEW_WORDS for word in words]
    if given is None and not is_explicit and _without_suffix(places, any_word, at_most=num_pictures // 10) is None:
        return None
    for words in [tuple(given)] if given is not None else VIEW_WORDS:
        strays = _without_suffix(places, words, at_most=num_pictures - 1 if is_explicit else num_pictures // 10)
        if strays is None:
            continue
        views = _by_suffix(places, words, strays)
        if is_explicit or views.paired_share() >= PAIRING_SHARE:
            return views
    return None


def _by_folder(places: Sequence[Place], names: Sequence[str], why: str, *, at: int = -1) -> Views:
    """Views that are folders. at: index of the view's folder in the path, -1 (deepest) or 0 (topmost)."""
    known = {name_key(name) for name in names}
    classes: Classes = defaultdict(list)
    strays: list[str] = []
    for place in places:
        if len(place.parts) > 1 and name_key(place.parts[at]) in known:
            label = "/".join(place.parts[:-1]) if at else replace(place, parts=place.parts[1:]).label
            classes[place.split, label].append(place)
        else:
            strays += place.pictures

    def shots(place: Place) -> Iterator[Shot]:
        view = name_key(place.parts[at])
        return ((view, stem_key(path), path) for path in place.pictures)

    return Views(tuple(names), why, classes, shots, strays)


def _by_suffix(places: Sequence[Place], names: Sequence[str], strays: list[str]) -> Views:
    pattern = _suffix_pattern(names)
    classes: Classes = defaultdict(list)
    for place in places:
        classes[place.split, place.label].append(place)

    def shots(place: Place) -> Iterator[Shot]:
        for path in place.pictures:
            if match := pattern.fullmatch(stem_key(path)):
                yield match[2], match[1], path

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
    words = "|".join(re.escape(name_key(name)) for name in names)
    return re.compile(rf"(.+)[{re.escape(SEPARATORS)}]({words})", re.DOTALL)


def read_views(tree: Tree, views: Views, findings: list[Finding]) -> Samples:
    """Samples, each of the pictures that share a stem within a class.

    Two pictures of one view give an error instead of a sample, appended to `findings`.
    """
    spelled = {name_key(name): name for name in views.names}
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
    for stem, pictures in objects.items():
        doubled = [paths for paths in pictures.values() if len(paths) > 1]
        if doubled:
            message = f"{label}/{stem}: {len(doubled[0])} pictures could be the same view; rename or remove all but one"
            findings.append(Finding("error", "ambiguous-pair", message, tuple(itertools.chain(*doubled))))
            continue
        name = f"{split}/{label}/{stem}" if split else f"{label}/{stem}"
        yield Sample(name, label, {view: pictures[view][0] for view in spelled.values() if view in pictures}, split)


def in_parts(listing: Listing, names: Sequence[str], parts: Sequence[Part]) -> Listing:
    """The listing with every picture replaced by its parts, as several views."""
    samples = Samples.of(listing.samples)
    (pictures,) = samples.views.values()
    columns = {
        name: tuple(None if picture is None else add_step(picture, *part.step) for picture in pictures)
        for name, part in zip(names, parts, strict=True)
    }
    # A recorded digest is that of the whole picture, and does not apply to its parts.
    return replace(listing, samples=replace(samples, views=columns, digests=(None,) * len(samples)), views=tuple(names))
