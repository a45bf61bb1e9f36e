"""Terminal width, colours and line fitting. Standard library only, because every command needs it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, TextIO

Colour = Literal["red", "yellow", "green", "dim"]
_CODES: dict[Colour, str] = {"red": "1;31", "yellow": "33", "green": "32", "dim": "2"}
SEPARATOR = "  "
_DIGITS = re.compile(r"\d+")


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal; a closed one is not."""
    with suppress(ValueError):
        return stream.isatty()
    return False


def num_columns(stream: TextIO) -> int:
    """The width in columns of the stream's own terminal, which need not be that of stdout; 80 where it is unknown."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return shutil.get_terminal_size().columns


def painted(text: str, colour: Colour, stream: TextIO) -> str:
    """The text with ANSI colour codes; unchanged when not on a terminal or with NO_COLOR (https://no-color.org)."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def fitted(parts: Sequence[str], importance: Sequence[int], columns: int | None) -> list[str]:
    """The parts that fit into a line of `columns` (None: all): the least important ones are dropped first.

    importance: a rank for each part; the part with the smallest number is dropped last.
    """
    kept = list(range(len(parts)))
    while columns is not None and len(SEPARATOR.join(parts[i] for i in kept)) > columns and len(kept) > 1:
        kept.remove(max(kept, key=lambda i: (importance[i], i)))
    return [parts[i] for i in kept]


def natural_key(name: str) -> str:
    """Sort key for natural order: p2 comes before p10. It takes little more memory than the name.

    A number is its length, its digits without leading zeros, then all its digits, between marks below every letter.
    It stays text: Python converts at most 4,300 digits, and a name may hold more.
    """
    return _DIGITS.sub(_number_key, name)


def _number_key(match: re.Match[str]) -> str:
    digits = match[0]
    plain = digits.lstrip("0")
    return f"\2{chr(1 + len(plain))}{plain}{digits}\2"
