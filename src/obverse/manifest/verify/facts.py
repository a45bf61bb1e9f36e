"""Measurements of all pictures after verification, in arrays.

435,000 pictures take 150 MB, or 20 MB without thumbprints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.imaging import PRINT_LENGTH, Examination, scaled_size
from obverse.manifest.sample import Finding
from obverse.manifest.store import part_of

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PictureFacts:
    """Measurements of N pictures, in columns. The row of an unusable picture has zeros."""

    paths: tuple[str, ...]
    """Distinct locators of the pictures."""

    place_of: Mapping[str, int]
    """Locator -> row."""

    usable_N: npt.NDArray[np.bool_]
    """Whether the picture can be decoded."""

    digests_N16: npt.NDArray[np.uint8]
    """Content digests, 16 bytes each."""

    sizes_N2: npt.NDArray[np.int32]
    """Upright (height, width) in pixels."""

    num_bytes_N: npt.NDArray[np.int64]
    """File sizes in bytes."""

    traits_N: npt.NDArray[np.uint16]
    """Bit masks of `imaging.Trait`."""

    formats_N: npt.NDArray[np.bytes_]
    """Names of file formats, such as JPEG."""

    prints_NP: npt.NDArray[np.uint8]
    """Thumbprints: luminance, then two planes of chroma. P is 0 if verification ran without details."""

    printed_N: npt.NDArray[np.bool_]
    """Whether the picture has a thumbprint."""

    findings: tuple[Finding, ...]
    """An error finding for each unusable picture."""

    use: tuple[int, int] = (0, 0)
    """Minimum (height, width) that the pictures were decoded with; (0, 0) is full size."""

    wholes: dict[str, str] = field(default_factory=dict)
    """Locator of a whole picture of which parts are views -> content digest."""

    cameras: dict[str, str] = field(default_factory=dict)
    """Locator -> camera, for pictures whose details were measured and name one."""

    @classmethod
    def empty(cls, paths: Sequence[str], *, details: bool, use: tuple[int, int] = (0, 0)) -> PictureFacts:
        """Empty columns for distinct `paths`."""
        distinct = tuple(dict.fromkeys(paths))
        num = len(distinct)
        return cls(
            distinct,
            {path: place for place, path in enumerate(distinct)},
            np.zeros(num, np.bool_),
            np.zeros((num, 16), np.uint8),
            np.zeros((num, 2), np.int32),
            np.zeros(num, np.int64),
            np.zeros(num, np.uint16),
            np.zeros(num, "S4"),
            np.zeros((num, PRINT_LENGTH if details else 0), np.uint8),
            np.zeros(num, np.bool_),
            (),
            use,
        )

    def put(self, place: int, seen: Examination, digest: str, num_bytes: int) -> None:
        """Write the facts of one picture into its row."""
        self.num_bytes_N[place] = num_bytes
        if digest:
            self.digests_N16[place] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        self.usable_N[place] = not seen.fault
        self.sizes_N2[place] = seen.height, seen.width
        self.traits_N[place] = int(seen.traits)
        self.formats_N[place] = seen.format.encode("ascii", "replace")
        if seen.camera:
            self.cameras[self.paths[place]] = sys.intern(seen.camera)
        if seen.print:
            self.prints_NP[place] = np.frombuffer(seen.print, np.uint8)
            self.printed_N[place] = True

    @property
    def digest_of(self) -> Mapping[str, str]:
        """Path -> content digest of usable pictures, including whole pictures of which only parts are views."""
        return _Column(self, lambda place: self.digests_N16[place].tobytes().hex(), self.wholes)

    @property
    def size_of(self) -> Mapping[str, tuple[int, int]]:
        """Path -> upright (height, width), for usable pictures."""
        return _Column(self, lambda place: tuple(self.sizes_N2[place].tolist()))

    def may_differ(self, path: str, use: tuple[int, int]) -> bool:
        """Whether decoding with the minimum (height, width) `use` may give another scale than with `self.use`."""
        place = self.place_of[path]
        if use == self.use or self.formats_N[place] not in (b"JPEG", b"MPO"):
            return False
        height, width = self.sizes_N2[place].tolist()
        # The file's own size is unknown where the picture is a part of it.
        is_part = part_of(path)[1] is not None
        return is_part or scaled_size(height, width, use) != scaled_size(height, width, self.use)

    def paths_at(self, places: Array) -> tuple[str, ...]:
        """The paths at `places`."""
        return tuple(self.paths[place] for place in places.tolist())


class _Column(Mapping[str, Any]):
    def __init__(self, facts: PictureFacts, at: Any, more: Mapping[str, Any] | None = None) -> None:
        self.facts, self.at, self.more = facts, at, more or {}

    def __getitem__(self, path: str) -> Any:
        if path not in self.facts.place_of and path in self.more:
            return self.more[path]
        place = self.facts.place_of[path]
        if not self.facts.usable_N[place]:
            raise KeyError(path)
        return self.at(place)

    def __iter__(self) -> Iterator[str]:
        return (path for path, is_usable in zip(self.facts.paths, self.facts.usable_N, strict=True) if is_usable)

    def __len__(self) -> int:
        return int(self.facts.usable_N.sum())
