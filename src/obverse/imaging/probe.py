"""What a picture's header says, and whether it is within limits: before anything is decoded.

Limits exist because a 254-byte PNG can ask for 11 GiB; they are far above any photograph.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from obverse.errors import DataError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
# Importing a plugin registers its format; Pillow's own lazy registration is not safe in threads.
FORMATS = tuple(
    plugin.format
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)
MAX_BYTES = 256 * 2**20
MAX_PIXELS = 200_000_000
MAX_SIDE = 40_000
MAX_ASPECT = 200

# Our limits replace Pillow's own guard, which warns below ours.
Image.MAX_IMAGE_PIXELS = None


class PictureError(DataError):
    """Bytes that are not a picture we can use. The one exception type of this package."""


@dataclass(frozen=True, slots=True)
class Header:
    """height, width in pixels as stored; orientation is the EXIF code 1 to 8."""

    format: str
    mode: str
    height: int
    width: int
    orientation: int
    icc_profile: bytes | None

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) after the orientation is applied; a PNG's EXIF behind its pixels is not seen here."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def open_picture(data: bytes) -> tuple[Image.Image, Header]:
    """The lazily opened picture and its header; PictureError when it is none or outside the limits."""
    if len(data) == 0:
        raise PictureError("the file is empty")
    if len(data) > MAX_BYTES:
        raise PictureError(f"the file has {len(data):,} bytes, more than the limit of {MAX_BYTES:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # Pillow's parsers raise almost any type on hostile bytes
        raise PictureError(f"not a picture in a known format ({', '.join(FORMATS)})") from error
    width, height = image.size
    _check_limits(height, width)
    orientation = _orientation_in_header(image)
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) and profile else None
    return image, Header(str(image.format), image.mode, height, width, orientation, profile)


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; an invalid one is upright."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF, with almost any exception type, says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _orientation_in_header(image: Image.Image) -> int:
    # Pillow turns a TIFF upright while loading it, and would decode a PNG just to look for EXIF behind the pixels.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return exif_orientation(image)


def _check_limits(height: int, width: int) -> None:
    size = f"{width}x{height} pixels (width x height)"
    if min(height, width) < 1:
        raise PictureError(f"the picture has {size}")
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise PictureError(f"{size} is above the limit of {MAX_SIDE} a side and {MAX_PIXELS:,} in all")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise PictureError(f"{size} is longer than {MAX_ASPECT} times its other side")
