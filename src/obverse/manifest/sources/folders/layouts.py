"""Layouts of folder trees: root/[split/]class[/class...]/[view or WxH/]picture.

Views are detected only by the names of sub-folders or files (`views.py`, `object_folders.py`). `<W>x<H>` folders are
sizes. Any other nested folder is part of the class name.
"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

from obverse.errors import DataError
from obverse.manifest.names import name_key
from obverse.manifest.sample import Finding
from obverse.manifest.samples import Samples
from obverse.manifest.sources.listing import Listing, stem_key
from obverse.manifest.sources.places import STRAY_SHARE, Apart, Place, take_apart

from .object_folders import object_views
from .tree import Tree
from .views import Views, folder_views, read_views, suffix_views
from .words import VIEW_WORDS, are_parts, split_word

T = TypeVar("T")


def read_folders(tree: Tree, *, layout: str = "auto", views: Sequence[str] | None = None) -> Listing:
    """Listing of a folder tree.

    layout: auto, class-folders, view-folders, object-folders or suffix-views.
    views: names of the views, or None to detect them.

    DataError when the tree has no picture, or not the given layout.
    """
    if not tree.folders:
        refused = "; ".join(finding.message for finding in tree.findings)
        why = tree.unread.message or refused or f"expected <class>/picture.jpg in it; it holds {_kinds(tree)}"
        raise DataError(f"no pictures below {tree.title}: {why}")
    # A single folder around view folders counts as a class only if the layout or `views` asks for views.
    view_words = [set(words) for words in VIEW_WORDS] if layout == "view-folders" else []
    view_words += [set(map(name_key, views))] if views else []
    num_levels = 2 if layout == "object-folders" else 1
    apart = take_apart(tree.folders, view_words, tree.title, num_levels=num_levels)
    findings = [*tree.findings, *apart.findings, *_outside(apart.places)]
    places = [place for place in apart.places if place.parts]
    detected, kind, about = _find_views(tree, places, layout, views)
    findings += about
    parts = [folder.parts for folder in tree.folders]
    findings += tree.unread.findings([*parts, *(p[:-1] for p in parts)] if detected and kind != "suffix" else parts)
    if detected is None:
        return _by_class(tree, places, apart, [*findings, *_strange_classes(places, layout, about)])
    is_many = kind == "object" and len(detected.strays) > STRAY_SHARE * sum(len(place.pictures) for place in places)
    findings += _left_out(detected.strays, kind, "warning" if is_many else "note")
    samples = read_views(tree, detected, findings)
    summary = (
        f"{apart.summary}{_describe_views(detected, kind)}: {len(set(samples.labels))} classes, {len(samples)} samples"
    )
    layout = {"view": "view-folders", "object": "object-folders", "suffix": "suffix-views"}[kind]
    return Listing(tree.root, samples, detected.names, summary, layout, findings)


def _describe_views(views: Views, kind: str) -> str:
    names = ", ".join(views.names)
    if kind == "object":
        return f"one folder per object in each class, its files are the views {names} ({views.why})"
    what = "view folders" if kind == "view" else "view suffixes"
    where = "above" if "above" in views.why else "in"
    return f"{what} {names} {where} each class ({views.why})"


def _kinds(tree: Tree) -> str:
    """Description of the tree's files when none of them is a picture."""
    counts = Counter(posixpath.splitext(name)[1].lower() or "without an ending" for name in tree.files())
    listed = ", ".join(f"{count} {ending}" for ending, count in counts.most_common(5))
    return f"{counts.total()} file(s) of other kinds ({listed})" if counts else "no files"


def _find_views(
    tree: Tree, places: Sequence[Place], layout: str, views: Sequence[str] | None
) -> tuple[Views | None, str, list[Finding]]:
    """The detected views or None, their kind (object, view or suffix), and findings.

    DataError when the given layout or the given views are not found.
    """
    detected: Views | None = None
    about: list[Finding] = []
    if layout in ("auto", "object-folders"):
        detected = object_views(places, views, is_explicit=layout == "object-folders")
    if detected is not None:
        return detected, "object", about
    if layout == "object-folders":
        raise DataError(f"no folders of objects below {tree.title}: expected <class>/<object>/obverse.jpg and "
                        "reverse.jpg in it, or give the files' names as data.views")  # fmt: skip
    if layout in ("auto", "view-folders"):
        detected, about = folder_views(places, views, is_explicit=layout == "view-folders")
    if layout == "view-folders" and detected is None:
        is_other = object_views(places, views, is_explicit=False) is not None
        hint = "; its files are called like views: data.layout=object-folders" if is_other else ""
        raise DataError(f"no view folders below {tree.title}: expected <class>/{{obverse,reverse}}/picture.jpg in it"
                        f"{hint}")  # fmt: skip
    kind = "view" if detected else "suffix"
    if detected is None and layout in ("auto", "suffix-views"):
        detected = suffix_views(places, views, is_explicit=layout == "suffix-views")
    if layout == "suffix-views" and detected is None:
        raise DataError(f"no file names below {tree.title} end in view words: expected <class>/coin7_obv.jpg and "
                        "coin7_rev.jpg in it, or give the words as data.views")  # fmt: skip
    if detected is None and views is not None and tuple(views) != ("image",):
        seen = ", ".join(sorted({place.parts[-1] for place in places})[:10])
        raise DataError(f"{tree.title}: no folders and no endings of file names are called {' and '.join(views)} "
                        f"(data.views); the folders are {seen}")  # fmt: skip
    return detected, kind, about


def _strange_classes(places: Sequence[Place], layout: str, about: Sequence[Finding]) -> list[Finding]:
    """Warnings about folders named like views, splits or parts of one set that are taken as classes."""
    if layout != "auto" or about:
        return []
    labels = sorted({place.label for place in places})
    message = f"the folders {', '.join(labels[:5])}"
    if are_parts(labels):
        message += " look like parts of one set and are taken as classes; if a table says the classes, give it as DATA"
        return [Finding("warning", "guessed-classes", message)]
    words = [split_word(label) for label in labels]
    if all(words) and len({word[0] for word in words if word}) > 1:
        message += " carry words for splits and are taken as classes; if they are splits: train/<class>, test/<class>"
        return [Finding("warning", "guessed-classes", message)]
    for names in ({name_key(p.parts[-1]) for p in places}, {name_key(p.parts[0]) for p in places}):
        views = next((words for words in VIEW_WORDS if names == set(words)), None)
        if views is not None:
            message = (f"{' and '.join(views)} are taken as classes, because as views they would leave fewer than two "
                       "complete ones; if they are views: give each class a folder, or a table with a column per view"
                       )  # fmt: skip
            return [Finding("warning", "guessed-classes", message)]
    return []


def _outside(places: Sequence[Place]) -> list[Finding]:
    """Finding for pictures outside of class folders: a note for a few, a warning for more than STRAY_SHARE."""
    paths = [path for place in places if not place.parts for path in place.pictures]
    is_stray = len(paths) <= max(1, STRAY_SHARE * sum(len(place.pictures) for place in places))
    return _left_out(paths, "class", "note" if is_stray else "warning")


def _left_out(paths: Sequence[str], what: str, severity: str = "note") -> list[Finding]:
    place = {"class": "lie outside any class folder", "view": "lie outside any view folder",
             "object": "are called like no view (data.views names others)"}  # fmt: skip
    message = f"{len(paths)} picture(s) {place.get(what, 'have no view suffix')} and are left out"
    return [Finding(severity, "loose-picture", message, tuple(paths))] if paths else []


def _by_class(tree: Tree, places: Sequence[Place], apart: Apart, findings: list[Finding]) -> Listing:
    wrapper, summary = apart.wrapper, apart.summary
    classes = [place.label for place in places]
    paths = [path for place in places for path in place.pictures]
    # Ids omit the wrapper folder, so that a folder and an archive of it give the same ids.
    ids = [path[len(wrapper) :] for path in paths] if wrapper else paths
    samples = Samples.from_columns(ids, _per_picture(places, classes), {"image": tree.locators(paths)})
    if any(place.split for place in places):
        samples = samples.with_columns(splits=_per_picture(places, [place.split for place in places]))
    if groups := _of_several_sizes(places):
        samples = samples.with_columns(groups=_by_stem(places, groups))
        message = f"{len(groups)} class(es) have several size folders: pictures of one name in them stay in one split"
        findings = [*findings, Finding("note", "groups", message)]
    nested = " (nested names stay apart)" if any("/" in label for label in classes) else ""
    summary += f"one class per folder{nested}: {len(set(classes))} classes, {len(samples)} pictures"
    return Listing(tree.root, samples, ("image",), summary, "class-folders", findings)


def _of_several_sizes(places: Sequence[Place]) -> dict[str, Counter[str]]:
    """Class (with its split) -> stem -> number of pictures, for classes with several size folders.

    `MS65/6000x3000/1.jpg` and `MS65/3000x1500/1.jpg` are the same photograph.
    """
    folders: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        folders[_class_of(place)].append(place)
    return {
        name: Counter(stem_key(path) for place in of_class for path in place.pictures)
        for name, of_class in folders.items()
        if len({place.parts for place in of_class}) > 1
    }


def _by_stem(places: Sequence[Place], groups: dict[str, Counter[str]]) -> Iterator[str | None]:
    """The group of each picture."""
    for place in places:
        name = _class_of(place)
        counts = groups.get(name, Counter())
        for path in place.pictures:
            stem = stem_key(path)
            yield f"{name}/{stem}" if counts[stem] > 1 else None


def _class_of(place: Place) -> str:
    return f"{place.split}/{place.label}" if place.split else place.label


def _per_picture(places: Sequence[Place], values: Sequence[T]) -> Iterator[T]:
    """The value of each picture's folder."""
    pairs = zip(places, values, strict=True)
    return (value for place, value in pairs for _ in place.pictures)
