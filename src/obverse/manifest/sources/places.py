"""Folder paths taken apart: wrapper, split, class, and view or size, in this order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from obverse.errors import DataError

from .listing import Folder
from .words import SPLIT_WORDS

SIZE_FOLDER = re.compile(r"\d{2,5}x\d{2,5}")
# A sample picture or a banner beside the classes is not a class.
STRAY_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of pictures with the wrapper and the split taken off: parts names class and view or size."""

    pictures: list[str]
    split: str | None
    parts: tuple[str, ...]

    @property
    def label(self) -> str:
        """The class, when the last folder is no view."""
        is_size = len(self.parts) > 1 and SIZE_FOLDER.fullmatch(self.parts[-1])
        return "/".join(self.parts[:-1] if is_size else self.parts)


def take_apart(folders: Sequence[Folder], view_words: Sequence[set[str]], shown: str) -> tuple[list[Place], str, str]:
    """Wrapper folders and split folders off the front; the wrapper, and words that say what was seen.

    A lone folder that holds nothing but views or sizes is a class, not a wrapper. Where a few pictures lie beside the
    wrapper, the splits or the classes, their place has no parts. DataError when many lie beside split folders.
    """
    depth = 0
    while _is_wrapped(folders, depth):
        below = {"/".join(f.parts[depth + 1 :]).lower() for f in folders if len(f.parts) > depth + 1}
        if below in view_words or all(map(SIZE_FOLDER.fullmatch, below)):
            break
        depth += 1
    wrapper = "".join(f"{part}/" for part in folders[-1].parts[:depth])
    said = f"inside {wrapper}, " if depth else ""
    split_of = {f.parts[depth]: SPLIT_WORDS.get(f.parts[depth].lower()) for f in folders if len(f.parts) > depth}
    splits = set(split_of.values())
    if "train" not in splits or splits == {"train", None}:  # a class may be called train
        return [Place(f.pictures, None, f.parts[depth:]) for f in folders], wrapper, said
    named = [name for name, split in split_of.items() if split]
    beside = [f for f in folders if not set(f.parts[depth : depth + 1]) & set(named)]
    if not _are_few(beside, folders):
        where = ", ".join(sorted({f.parts[depth] for f in beside if len(f.parts) > depth})[:5]) or "none of them"
        num = sum(len(f.pictures) for f in beside)
        raise DataError(f"{shown} has the split folders {', '.join(sorted(named))}, and {num} pictures lie in {where}: "
                        "move them, or rename the split folders if they are classes")  # fmt: skip
    places = [Place(f.pictures, split_of[f.parts[depth]], f.parts[depth + 1 :]) for f in folders if f not in beside]
    places += [Place(f.pictures, None, ()) for f in beside]
    return places, wrapper, f"{said}split folders {', '.join(sorted(map(str.lower, named)))}, "


def _is_wrapped(folders: Sequence[Folder], depth: int) -> bool:
    """Whether all pictures, but a few that lie above, are below one folder that holds folders."""
    inside = [f for f in folders if len(f.parts) > depth]
    deeper = [f for f in inside if len(f.parts) > depth + 1]
    loose = [f for f in folders if len(f.parts) <= depth + 1]
    return bool(deeper) and len({f.parts[depth] for f in inside}) == 1 and _are_few(loose, folders)


def _are_few(some: Sequence[Folder], folders: Sequence[Folder]) -> bool:
    return sum(len(f.pictures) for f in some) <= max(1, STRAY_SHARE * sum(len(f.pictures) for f in folders))
