"""Parsing of folder paths into wrapper, split, class, and view or size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from obverse.errors import DataError
from obverse.manifest.names import composed, name_key
from obverse.manifest.sample import Finding
from obverse.manifest.sources.folders.class_names import forms_joined
from obverse.manifest.sources.folders.words import UNLABELLED_WORDS, has_word, split_folders, split_word

from .listing import Folder

SIZE_FOLDER = re.compile(r"\d{2,5}x\d{2,5}")
# Up to this fraction of the pictures may lie outside of the classes, such as a sample picture or a banner.
STRAY_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of pictures, without its wrapper and split folders."""

    pictures: list[str]
    """Paths of its pictures below the root."""

    split: str | None

    parts: tuple[str, ...]
    """Path without wrapper and split, in NFC: class, and view or size. Empty outside of class folders."""

    @property
    def label(self) -> str:
        """The class, for a layout without view folders."""
        is_size = len(self.parts) > 1 and SIZE_FOLDER.fullmatch(self.parts[-1])
        return "/".join(self.parts[:-1] if is_size else self.parts)


@dataclass(frozen=True)
class Apart:
    """Result of `take_apart`: the parsed folders of a tree."""

    places: list[Place]

    wrapper: str
    """Path of the folders around all data, with a trailing `/`; empty if there are none."""

    summary: str
    """Clause about wrapper and split folders, for the summary of a listing."""

    findings: list[Finding]


def take_apart(folders: Sequence[Folder], view_words: Sequence[set[str]], title: str, *, num_levels: int = 1) -> Apart:
    """The folders without their wrapper and split folders.

    A single folder that contains nothing but requested views or sizes is a class, not a wrapper. A few pictures beside
    the wrapper, the splits or the classes get a place without parts.

    view_words: names of view folders, one set for each kind of views.
    num_levels: number of innermost levels of folders that are never a wrapper.

    DataError when many pictures lie beside split folders.
    """
    depth = 0
    while _is_wrapped(folders, depth) and max(len(f.parts) for f in folders) - depth > num_levels:
        below = {name_key("/".join(f.parts[depth + 1 :])) for f in folders if len(f.parts) > depth + 1}
        if below in view_words or all(map(SIZE_FOLDER.fullmatch, below)):
            break
        depth += 1
    wrapper = "".join(f"{part}/" for part in folders[-1].parts[:depth])
    summary = f"inside {wrapper}, " if depth else ""
    findings = forms_joined({part for folder in folders for part in folder.parts[depth:]})
    level, splits = _split_level(folders, depth)
    if not splits:
        places = [Place(f.pictures, None, tuple(map(composed, f.parts[depth:]))) for f in folders]
        return Apart(places, wrapper, summary, findings)
    _refuse_many_beside(folders, level, splits, title)
    places = _divided(folders, depth, level, splits)
    names = ", ".join(sorted(name.lower() for name in splits))
    summary += f"split folders {names}, " if level == depth else f"split folders {names} inside the classes, "
    return Apart(places, wrapper, summary, findings)


def _split_level(folders: Sequence[Folder], depth: int) -> tuple[int, dict[str, str]]:
    """Level of the split folders, and their names -> split; no names when there are no split folders.

    Below the top level (`<class>/train/`) every picture must lie in a split folder, and there must be several classes.
    """
    for level in range(depth, max((len(f.parts) for f in folders), default=0)):
        inside = [f for f in folders if len(f.parts) > level]
        splits = split_folders({f.parts[level] for f in inside})
        if not splits:
            continue
        if level == depth:
            return level, splits
        outside = [f for f in folders if len(f.parts) <= level or f.parts[level] not in splits]
        if _are_few(outside, folders) and len({f.parts[depth:level] for f in inside}) > 1:
            return level, splits
    return depth, {}


def _divided(folders: Sequence[Folder], depth: int, level: int, splits: dict[str, str]) -> list[Place]:
    """Places in split folders, and places without parts for folders beside them."""
    doubled = {name: _num_doubled(folders, level, name, splits) for name in splits}
    places = []
    for folder in folders:
        name = folder.parts[level] if len(folder.parts) > level else ""
        if name in splits:
            rest = folder.parts[depth:level] + folder.parts[level + 1 + doubled[name] :]
            places.append(Place(folder.pictures, splits[name], tuple(map(composed, rest))))
        else:
            places.append(Place(folder.pictures, None, ()))
    return places


def _num_doubled(folders: Sequence[Folder], level: int, name: str, splits: dict[str, str]) -> int:
    """Number of repeated folders of the split's name (`seg_train/seg_train/<class>`), as left by unpacking twice.

    A repeated name that also occurs in another split is a class and not counted.
    """
    inside = [f for f in folders if f.parts[level : level + 1] == (name,)]
    elsewhere = {f.parts[level + 1] for f in folders if len(f.parts) > level + 1 and f.parts[level] != name}
    num = 0
    while True:
        below = {f.parts[level + 1 + num] for f in inside if len(f.parts) > level + 1 + num}
        if len(below) != 1 or below & elsewhere or (split_word(min(below)) or ("",))[0] != splits[name]:
            return num
        num += 1


def _refuse_many_beside(folders: Sequence[Folder], level: int, splits: dict[str, str], title: str) -> None:
    """DataError when many pictures lie beside the split folders, other than in a folder for unlabelled pictures."""

    def is_beside(folder: Folder) -> bool:
        name = folder.parts[level] if len(folder.parts) > level else ""
        return name not in splits and not has_word(name, UNLABELLED_WORDS)

    beside = [folder for folder in folders if is_beside(folder)]
    if not _are_few(beside, folders):
        where = ", ".join(sorted({f.parts[level] for f in beside if len(f.parts) > level})[:5]) or "none of them"
        num = sum(len(f.pictures) for f in beside)
        raise DataError(f"{title} has the split folders {', '.join(sorted(splits))}, and {num} pictures lie in {where}"
                        ": move them, or rename the split folders if they are classes")  # fmt: skip


def _is_wrapped(folders: Sequence[Folder], depth: int) -> bool:
    """Whether all but a few pictures lie below a single folder that contains folders."""
    inside = [f for f in folders if len(f.parts) > depth]
    deeper = [f for f in inside if len(f.parts) > depth + 1]
    loose = [f for f in folders if len(f.parts) <= depth + 1]
    return bool(deeper) and len({f.parts[depth] for f in inside}) == 1 and _are_few(loose, folders)


def _are_few(some: Sequence[Folder], folders: Sequence[Folder]) -> bool:
    return sum(len(f.pictures) for f in some) <= max(1, STRAY_SHARE * sum(len(f.pictures) for f in folders))
