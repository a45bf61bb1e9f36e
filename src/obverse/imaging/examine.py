"""Examination of one picture: faults, size, traits and thumbprint, from a single decoding.

Whether a trait is a problem is decided in `obverse.manifest.verify`, which sees the whole set.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from PIL import Image

from .decode import decode_opened, decode_picture
from .endings import HEAD_BYTES, is_picture_head
from .fingerprint import thumbprint
from .limits import scaled_size
from .part import Part
from .probe import Header, PictureError, exif_camera, open_picture

# A damaged JPEG shows at any scale, so photographs are decoded small where nothing else is asked; the thumbprint needs
# no more.
EXAMINE_SIDE = 64
Least = tuple[int, int]
# Ranges (in levels of 255) up to which a picture is blank, or grey: above JPEG's rounding errors.
BLANK_RANGE = 8
GREY_CHROMA = 3
_SIGNATURES = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WEBP",
    **dict.fromkeys((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), "PPM"),
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
}
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_BITS_PER_SAMPLE = 258


class Trait(IntFlag):
    """Unusual properties of a picture that can be decoded."""

    NONE = 0
    ANIMATED = 1
    CMYK = 2
    SIXTEEN_BIT = 4
    ALPHA = 8
    PALETTE = 16
    GREY = 32
    BLANK = 64
    TURNED = 128


@dataclass(frozen=True, slots=True)
class Examination:
    """Result of examining one picture.

    fault: a code when the bytes are not a usable picture, else empty. message: the reason, for the user. height, width:
    after the EXIF orientation. print: the thumbprint; empty without `details`. camera: maker and model from EXIF; empty
    without `details`, and where there are none.
    """

    fault: str = ""
    message: str = ""
    format: str = ""
    height: int = 0
    width: int = 0
    traits: Trait = Trait.NONE
    print: bytes = b""
    camera: str = ""


def examine_picture(
    data: bytes, *, part: Part | None = None, details: bool = True, use: Least | None = None
) -> Examination:
    """Examination of a picture's bytes; bad bytes give a fault, never an exception.

    part: examine only this part of the picture. details: also traits of the pixels, and the thumbprint. use: the
    minimum (height, width) of later decoding, so that a picture that passes has been decoded at that very scale.
    """
    least = _least_of(part, _enough(details, use))
    try:
        image, header = open_picture(data)
    except PictureError as error:
        return Examination(_fault_in_header(data, str(error)), str(error))
    try:
        pixels = decode_opened(data, image, header, min_height=least[0], min_width=least[1])
        if details and use is not None and _is_other_scale(header, least, _least_of(part, use)):
            height, width = _least_of(part, use)
            decode_picture(data, min_height=height, min_width=width)
    except PictureError as error:
        fault = "truncated" if _is_cut_short(data, header.format, str(error)) else "unreadable"
        return Examination(fault, str(error), header.format)
    traits = _header_traits(data, image, header)
    camera = exif_camera(image) if details else ""
    del image  # with the decoder's own copy of the pixels
    height, width = header.upright_size
    if part is not None:
        try:
            (height, width), pixels = part.size(height, width), part.of(pixels)
        except PictureError as error:
            return Examination("unreadable", str(error), header.format)
    if not details:
        return Examination("", "", header.format, height, width, traits)
    ycbcr = Image.fromarray(np.ascontiguousarray(pixels)).convert("YCbCr")
    traits |= _pixel_traits(ycbcr)
    return Examination("", "", header.format, height, width, traits, thumbprint(ycbcr).tobytes(), camera)


def _enough(details: bool, use: Least | None) -> Least:
    """The minimum (height, width) that serves both the later use and the thumbprint, so that one decoding does."""
    if use is None:
        return EXAMINE_SIDE, EXAMINE_SIDE
    return (max(EXAMINE_SIDE, use[0]), max(EXAMINE_SIDE, use[1])) if details and min(use) else use


def _least_of(part: Part | None, least: Least) -> Least:
    return least if part is None else part.enlarged(*least)


def _is_other_scale(header: Header, one: Least, other: Least) -> bool:
    if header.scans is None or not header.scans.can_scale:
        return False
    return scaled_size(*header.upright_size, one) != scaled_size(*header.upright_size, other)


def _fault_in_header(data: bytes, message: str) -> str:
    if not data:
        return "empty-file"
    format = next((name for start, name in _SIGNATURES.items() if data.startswith(start)), "")
    if not format or (format in ("WEBP", "PPM") and not is_picture_head(data[:HEAD_BYTES])):
        return "not-a-picture"
    return "truncated" if _is_cut_short(data, format, message) else "unreadable"


def _is_cut_short(data: bytes, format: str, message: str) -> bool:
    """Whether a picture that cannot be decoded lacks its end; a flipped bit leaves the end where it was."""
    end = data[-4096:]
    match format:
        case "JPEG" | "MPO":
            return b"\xff\xd9" not in end
        case "PNG":
            return b"IEND" not in end
        case "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "BMP":
            return int.from_bytes(data[2:6], "little") > len(data)
        case "GIF":
            return not data.rstrip(b"\0").endswith(b";")
    return "truncated" in message or "not enough" in message


def _header_traits(data: bytes, image: Image.Image, header: Header) -> Trait:
    traits = Trait.NONE
    if header.format in ("GIF", "PNG", "WEBP", "TIFF") and _has_more_frames(image):
        traits |= Trait.ANIMATED
    if header.mode == "CMYK":
        traits |= Trait.CMYK
    if header.mode in ("P", "PA"):
        traits |= Trait.PALETTE
    if "A" in header.mode or "a" in header.mode or "transparency" in image.info:
        traits |= Trait.ALPHA
    if header.orientation != 1:
        traits |= Trait.TURNED
    # Pillow reads a PNG or TIFF of 16 bits and three channels as 8 bits, and its mode does not show it.
    deep_png = header.format == "PNG" and len(data) > 24 and data[24] == 16
    if header.mode in _DEEP_MODES or deep_png or (header.format == "TIFF" and _tiff_is_deep(image)):
        traits |= Trait.SIXTEEN_BIT
    if header.mode in ("1", "L", "LA", "La", *_DEEP_MODES):
        traits |= Trait.GREY
    return traits


def _has_more_frames(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # damaged later frames, with almost any exception type: only the first one is used
        return False


def _tiff_is_deep(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (8,))
    return any(count > 8 for count in (bits if isinstance(bits, tuple) else (bits,)))


def _pixel_traits(picture: Image.Image) -> Trait:
    """Traits that need the pixels of a YCbCr picture: blank, grey."""
    traits = Trait.NONE
    bounds = [(float(low), float(high)) for low, high in picture.getextrema()]  # type: ignore[misc]
    if all(high - low <= BLANK_RANGE for low, high in bounds):
        traits |= Trait.BLANK
    if all(max(high - 128, 128 - low) <= GREY_CHROMA for low, high in bounds[1:]):
        traits |= Trait.GREY
    return traits
