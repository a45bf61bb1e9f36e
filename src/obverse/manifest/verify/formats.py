"""Findings about formats, colour and size of pictures, one for each kind, with its paths.

Most are notes, because the decoder converts every usable picture to upright 8-bit RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from obverse.imaging import Trait
from obverse.manifest.sample import Finding

from .facts import Array, PictureFacts

# A shorter side below this number of pixels is reported.
TINY_SIDE = 16
# A ratio of the sides above this is reported.
EXTREME_ASPECT = 5.0
# A ratio above this, of the geometric mean of the sides to the set's median, or the inverse, is reported.
FAR_SIDE = 4.0
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
_TRAITS = (
    ("animated", Trait.ANIMATED, "note", "more than one frame, only the first is used"),
    ("cmyk", Trait.CMYK, "note", "CMYK colour, converted to RGB"),
    ("sixteen-bit", Trait.SIXTEEN_BIT, "note", "16 bits a channel, the upper 8 are used"),
    ("alpha", Trait.ALPHA, "note", "transparency, laid on white"),
    ("palette", Trait.PALETTE, "note", "a colour palette, expanded to RGB"),
    ("exif-rotation", Trait.TURNED, "note", "an EXIF rotation, turned upright as viewers show it"),
    ("blank-picture", Trait.BLANK, "warning", "one even colour, nothing can be learned from it"),
)


def format_findings(facts: PictureFacts) -> list[Finding]:
    """Findings about formats, colour and size; those about blank and grey pictures need facts with details."""
    return [*_traits(facts), *_grey_among_colour(facts), *_suffixes(facts), *_sizes(facts)]


def _traits(facts: PictureFacts) -> Iterator[Finding]:
    for code, trait, severity, what in _TRAITS:
        yield from _one(facts, (facts.traits_N & int(trait)) > 0, severity, code, what)


def _grey_among_colour(facts: PictureFacts) -> Iterator[Finding]:
    is_grey = facts.usable_N & ((facts.traits_N & int(Trait.GREY)) > 0)
    is_colour = facts.usable_N & ~is_grey
    if not is_grey.any() or not is_colour.any():
        return
    fewer, name = (is_grey, "grey") if is_grey.sum() <= is_colour.sum() else (is_colour, "in colour")
    yield from _one(facts, fewer, "note", "grey-among-colour", f"{name}, unlike the rest of the set")


def _suffixes(facts: PictureFacts) -> Iterator[Finding]:
    """Findings for files whose suffix is of another format than their content; names without a suffix are ignored."""
    is_lie = np.zeros(len(facts.paths), np.bool_)
    for place in np.flatnonzero(facts.usable_N).tolist():
        suffix = PurePosixPath(facts.paths[place]).suffix.lower()
        allowed = _SUFFIXES.get(facts.formats_N[place].decode(), (suffix,))
        is_lie[place] = suffix not in allowed and any(suffix in known for known in _SUFFIXES.values())
    formats = ", ".join(sorted({name.decode() for name in facts.formats_N[is_lie].tolist()}))
    what = f"a name that says another format than the file ({formats})"
    yield from _one(facts, is_lie, "note", "extension-lies", what)


def _sizes(facts: PictureFacts) -> Iterator[Finding]:
    if not facts.usable_N.any():
        return
    sides_N2 = np.where(facts.usable_N[:, None], facts.sizes_N2, 1).astype(np.float64)
    shorter_N, longer_N = sides_N2.min(axis=1), sides_N2.max(axis=1)
    is_tiny = facts.usable_N & (shorter_N < TINY_SIDE)
    yield from _one(facts, is_tiny, "warning", "tiny-picture", f"a side below {TINY_SIDE} pixels")
    what = f"one side more than {EXTREME_ASPECT:g} times the other"
    yield from _one(facts, longer_N > EXTREME_ASPECT * shorter_N, "warning", "extreme-aspect", what)
    side_N = np.sqrt(shorter_N * longer_N)
    middle = float(np.median(side_N[facts.usable_N]))
    is_far = facts.usable_N & ((side_N > FAR_SIDE * middle) | (side_N < middle / FAR_SIDE))
    what = f"a size more than {FAR_SIDE:g} times away from the middle one of the set ({middle:.0f} pixels a side)"
    yield from _one(facts, is_far, "warning", "sizes-far-apart", what)


def _one(facts: PictureFacts, applies: Array, severity: str, code: str, what: str) -> Iterator[Finding]:
    if applies.any():
        message = f"{int(applies.sum())} picture(s): {what}"
        yield Finding(severity, code, message, facts.paths_at(np.flatnonzero(applies)))
