"""Parts of a picture that are views of their own: halves of a frame, tiles of a grid.

Names are those of a locator (`manifest/store/locator.py`): `half=left`, `half=right`, `tile=r1c2of2x3` (first row,
second of three columns). Parts of one grid have equal sizes; remaining pixels lie between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from .decode import Pixels
from .probe import PictureError

HALVES = {"left": 0, "right": 1}
_TILE = re.compile(r"r([1-9]\d{0,3})c([1-9]\d{0,3})of([1-9]\d{0,3})x([1-9]\d{0,3})")


@dataclass(frozen=True, slots=True)
class Part:
    """The cell (row, column), counted from 0, of a grid of `rows` x `columns`."""

    row: int
    column: int
    rows: int
    columns: int

    @classmethod
    def parse(cls, kind: str, value: str) -> Self:
        """The part of a locator's kind and value; PictureError when there is none."""
        if kind == "half" and value in HALVES:
            return cls(0, HALVES[value], 1, 2)
        match = _TILE.fullmatch(value) if kind == "tile" else None
        if match:
            row, column, rows, columns = map(int, match.groups())
            if row <= rows and column <= columns:
                return cls(row - 1, column - 1, rows, columns)
        allowed = "only left and right" if kind == "half" else "a tile is written like r1c2of2x3"
        raise PictureError(f"there is no {kind} {value!r}, {allowed}")

    @property
    def step(self) -> tuple[str, str]:
        """The locator's (kind, value), inverse of `parse`."""
        if (self.rows, self.columns) == (1, 2):
            return "half", ("left", "right")[self.column]
        return "tile", f"r{self.row + 1}c{self.column + 1}of{self.rows}x{self.columns}"

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of this part of a picture; PictureError when nothing is left."""
        size = height // self.rows, width // self.columns
        if 0 in size:
            raise PictureError(f"a picture of {width}x{height} pixels has no {self.rows}x{self.columns} parts "
                               "(rows x columns)")  # fmt: skip
        return size

    def enlarged(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a picture whose parts have (height, width)."""
        return height * self.rows, width * self.columns

    def of(self, pixels: Pixels) -> Pixels:
        """The pixels of this part, as a copy."""
        return pixels[self.place(*pixels.shape[:2])].copy()

    def place(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of this part in a picture of height x width; PictureError when nothing is left."""
        part_height, part_width = self.size(height, width)
        top = _start(self.row, self.rows, height, part_height)
        left = _start(self.column, self.columns, width, part_width)
        return slice(top, top + part_height), slice(left, left + part_width)


def grid(rows: int, columns: int) -> tuple[Part, ...]:
    """All parts of a grid, row by row."""
    return tuple(Part(row, column, rows, columns) for row in range(rows) for column in range(columns))


def _start(place: int, count: int, length: int, part: int) -> int:
    """The first pixel of a part along one axis: the first part begins at 0, the last one ends with the picture."""
    return place * (length - part) // (count - 1) if count > 1 else 0
