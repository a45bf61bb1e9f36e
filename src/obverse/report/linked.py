"""Predictions inside a page, as compressed typed arrays: a hundred thousand take about a megabyte.

Layout, before gzip and base64: length of the header (uint32), the header as JSON, one uint16 array per column in the
header's order, then the ids as UTF-8 text, one per line. All numbers are little-endian.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .blocks import Picture
from .escaping import plain_text

UNKNOWN = 65535
"""Code of a sample without a label."""
MOST_VALUES = 65534

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Facet:
    """A property of samples with few values, by which readers filter: a slice, a decision, a camera."""

    name: str
    values: tuple[str, ...]

    codes_N: IntArray
    """Index of each sample's value."""


@dataclass(frozen=True, eq=False)
class Linked:
    """The predictions that the panels of a page share, one row per sample."""

    classes: tuple[str, ...]
    ids: tuple[str, ...]

    truth_N: IntArray
    """Class of each sample, or its set of classes as an index into `sets`; -1 where unknown."""

    answers_N: IntArray
    confidence_N: npt.NDArray[np.float32]
    """Probability of each answer; for label sets its score."""

    sets: tuple[tuple[int, ...], ...] | None = None
    """Sets of classes that samples or answers have; None where each has one class."""

    facets: tuple[Facet, ...] = ()

    positions_N2: npt.NDArray[np.float32] | None = None
    """Places on the map, each axis from -1 to 1, NaN where there is none; None without a map."""

    is_grouped: bool = False
    """Whether samples belong together, so that intervals of single samples would be too narrow."""

    album: Mapping[int, tuple[Picture, ...]] = field(default_factory=dict)
    """Row -> its pictures, for rows that no gallery of the page shows."""

    @property
    def packed(self) -> str:
        """The predictions as base64 text."""
        columns = {"truth": np.where(self.truth_N < 0, UNKNOWN, self.truth_N), "answer": self.answers_N}
        columns["confidence"] = _share_codes(self.confidence_N)
        columns |= {f"facet {facet.name}": facet.codes_N for facet in self.facets}
        if self.positions_N2 is not None:
            columns |= {name: _place_codes(self.positions_N2[:, axis]) for axis, name in enumerate("xy")}
        header = {
            "num": len(self.ids),
            "classes": [*map(plain_text, self.classes)],
            **({} if self.sets is None else {"sets": self.sets}),
            "columns": list(columns),
            "facets": [{"name": facet.name, "values": [*map(plain_text, facet.values)]} for facet in self.facets],
            "grouped": self.is_grouped,
        }  # fmt: skip
        head = json.dumps(header).encode()
        arrays = b"".join(column.astype("<u2").tobytes() for column in columns.values())
        ids = "\n".join(map(plain_text, self.ids)).encode("utf-8", "replace")
        whole = len(head).to_bytes(4, "little") + head + arrays + ids
        # Without a time, equal predictions give equal pages.
        return base64.b64encode(gzip.compress(whole, 6, mtime=0)).decode("ascii")

    @property
    def album_lines(self) -> str:
        """The album as text: per line a row number and its pictures in base64."""
        lines = []
        for row, pictures in self.album.items():
            encoded = (base64.b64encode(picture.encoded).decode("ascii") for picture in pictures if picture.encoded)
            lines.append(" ".join([str(row), *encoded]))
        return "\n".join(lines)


def _share_codes(shares_N: npt.NDArray[np.float32]) -> IntArray:
    codes_N: IntArray = np.rint(np.clip(shares_N.astype(np.float64), 0, 1) * 65535).astype(np.int64)
    return codes_N


def _place_codes(places_N: npt.NDArray[np.float32]) -> IntArray:
    """Codes of places from -1 to 1; a sample without a place lies in a corner."""
    return _share_codes(np.nan_to_num((places_N + 1) / 2, nan=0.0))
