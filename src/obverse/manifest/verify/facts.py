"""Facts about every picture after one pass, in arrays: 435,000 pictures take 150 MB, or 20 MB without thumbprints."""

from __future__ import annotations

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
    """Facts in columns over N distinct paths. Sizes are upright (height, width). An unusable picture's row holds zeros.

    use: the least (height, width) that the pictures were decoded with.
    printed_N: which have a thumbprint in prints_NP, which has no columns when the pass was made without details.
    findings: the pictures that cannot be used.
    wholes: path of a picture of which parts are views -> content digest.
    """

    paths: tuple[str, ...]
    place_of: Mapping[str, int]
    usable_N: npt.NDArray[np.bool_]
    digests_N16: npt.NDArray[np.uint8]
    sizes_N2: npt.NDArray[np.int32]
    num_bytes_N: npt.NDArray[np.int64]
    traits_N: npt.NDArray[np.uint16]
    formats_N: npt.NDArray[np.bytes_]
    prints_NP: npt.NDArray[np.uint8]
    printed_N: npt.NDArray[np.bool_]
    findings: tuple[Finding, ...]
    use: tuple[int, int] = (0, 0)
    wholes: dict[str, str] = field(default_factory=dict)

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
        """Whether decoding with the minimum size `use` may have another scale than with `self.use`."""
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
