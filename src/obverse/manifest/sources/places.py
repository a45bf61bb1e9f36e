"""Folder paths taken apart: wrapper, split, class, and view or size, in this order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .listing import Folder
from .words import SPLIT_WORDS

SIZE_FOLDER = re.compile(r"\d{2,5}x\d{2,5}")


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


def take_apart(folders: Sequence[Folder], view_words: Sequence[set[str]]) -> tuple[list[Place], str, str]:
    """Wrapper folders and split folders off the front; the wrapper, and words that say what was seen.

    A lone folder that holds nothing but views or sizes is a class, not a wrapper.
    """
    depth = 0
    while min(len(f.parts) for f in folders) > depth + 1 and len({f.parts[depth] for f in folders}) == 1:
        below = {"/".join(f.parts[depth + 1 :]).lower() for f in folders}
        if below in view_words or all(map(SIZE_FOLDER.fullmatch, below)):
            break
        depth += 1
    wrapper = "".join(f"{part}/" for part in folders[0].parts[:depth])
    said = f"inside {wrapper}, " if depth else ""
    found = {f.parts[depth].lower() for f in folders if len(f.parts) > depth}
    if "train" in {SPLIT_WORDS.get(name) for name in found} and found <= set(SPLIT_WORDS):
        inside = [f for f in folders if len(f.parts) > depth]
        places = [Place(f.pictures, SPLIT_WORDS[f.parts[depth].lower()], f.parts[depth + 1 :]) for f in inside]
        return places, wrapper, f"{said}split folders {', '.join(sorted(found))}, "
    return [Place(f.pictures, None, f.parts[depth:]) for f in folders], wrapper, said
