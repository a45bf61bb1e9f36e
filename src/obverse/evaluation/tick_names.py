"""Tick labels of plots from names: distinct, even where the font lacks a script."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import findfont, get_font

FONT = "DejaVu Sans"
# Shown for each character that the font lacks.
MISSING = "\N{REPLACEMENT CHARACTER}"
# Longest tick label, in characters.
LONGEST_NAME = 20


def tick_names(names: Sequence[str]) -> list[str]:
    """A label of at most 20 characters for each name: the name, or its number and the characters that can be drawn.

    Numbers count from 1, in the order of `names`. Where `are_numbered`, the plot needs a key beside it.
    """
    if not are_numbered(names):
        return _shortened(names)
    labels = []
    for number, name in enumerate(names, 1):
        text = " ".join("".join(char for char in name if _is_drawable(char) or char.isspace()).split())
        labels.append(_cut(f"{number} {text}" if any(map(str.isalnum, text)) else str(number)))
    return labels


def are_numbered(names: Sequence[str]) -> bool:
    """Whether labels are numbers, because a name cannot be drawn or two would look alike."""
    if not all(name.strip() and all(_is_drawable(char) or char.isspace() for char in name) for name in names):
        return True
    return len(set(_shortened(names))) < len(names)


def drawable(text: str) -> str:
    """`text` in one line, at most 20 characters, with a mark for each character that the font lacks."""
    return _cut(_one_line(text))


def _shortened(names: Sequence[str]) -> list[str]:
    """Names of at most 20 characters: cut at the end, or in the middle where names begin alike."""
    whole = [_one_line(name) for name in names]
    cut = [_cut(name) for name in whole]
    if len(set(cut)) == len(cut):
        return cut
    head = (LONGEST_NAME - 1) // 2
    tail = LONGEST_NAME - 1 - head
    return [name if len(name) <= LONGEST_NAME else f"{name[:head]}…{name[-tail:]}" for name in whole]


def _one_line(text: str) -> str:
    return "".join(char if _is_drawable(char) else MISSING for char in " ".join(text.split()))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _is_drawable(char: str) -> bool:
    """Whether the character can be drawn: the font has it, and it is not right-to-left, which matplotlib reverses."""
    is_text = unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    return is_text and ord(char) in _font_characters() and unicodedata.bidirectional(char) not in ("R", "AL")


@cache
def _font_characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())
