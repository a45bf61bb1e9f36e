"""Picture headers and the check of their limits, before anything is decoded.

Limits exist because a 254-byte PNG can claim 11 GiB; they are far above any photograph (`limits.py`).
"""

from __future__ import annotations

import ctypes
import io
import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass

from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from obverse.errors import DataError

from . import limits
from .structure import MAX_EXIF_BYTES, JpegScans, StructureError, jpeg_scans, require_modest_structure

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
        PpmImagePlugin.PpmImageFile,
    )
)
JPEG_FORMATS = ("JPEG", "MPO")
MAX_CAMERA_LETTERS = 80

# Our limits replace Pillow's own guard, which warns below ours.
Image.MAX_IMAGE_PIXELS = None
# Messages of parsers must not reach the console: the user gets a PictureError instead.
logging.getLogger("PIL").addHandler(logging.NullHandler())
with suppress(OSError, AttributeError):  # libtiff writes to the console itself; some builds do not export the setters
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)


class PictureError(DataError):
    """Bytes that are not a usable picture. The only exception type of this package."""


@dataclass(frozen=True, slots=True)
class Header:
    """Header fields of a picture. height, width: in pixels as stored. orientation: the EXIF code, 1 to 8."""

    format: str
    mode: str
    height: int
    width: int
    orientation: int
    icc_profile: bytes | None
    scans: JpegScans | None = None
    buffer_bytes: int = 0  # memory of a TIFF's decoder besides the picture

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) after the orientation is applied; EXIF behind a PNG's pixels is not read here."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def open_picture(data: bytes) -> tuple[Image.Image, Header]:
    """The lazily opened picture and its header; PictureError when it is no picture or exceeds the limits."""
    if len(data) == 0:
        raise PictureError("the file is empty")
    if len(data) > limits.MAX_BYTES:
        raise PictureError(f"the file has {len(data):,} bytes, more than the limit of {limits.MAX_BYTES:,}")
    try:
        require_modest_structure(data)
        scans = jpeg_scans(data) if data.startswith(b"\xff\xd8") else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except StructureError as error:
        raise PictureError(str(error)) from None
    except Exception as error:  # Pillow's parsers raise almost any type on hostile bytes
        raise PictureError(f"not a picture in a known format ({', '.join(FORMATS)})") from error
    return image, _header(image, scans)


def _header(image: Image.Image, scans: JpegScans | None) -> Header:
    width, height = image.size
    if reason := limits.refuse_size(height, width):
        raise PictureError(reason)
    raw_bytes, buffer_bytes = _expanded(image)
    if raw_bytes > limits.MAX_RAW_BYTES:
        raise PictureError(
            f"{width}x{height} pixels (width x height) expand to {raw_bytes:,} bytes, more than the limit of "
            f"{limits.MAX_RAW_BYTES:,}"
        )
    profile = image.info.get("icc_profile")
    return Header(
        str(image.format),
        image.mode,
        height,
        width,
        _orientation_in_header(image),
        profile if isinstance(profile, bytes) and profile else None,
        scans,
        buffer_bytes,
    )


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) when it is missing or invalid."""
    if len(image.info.get("exif") or b"") > MAX_EXIF_BYTES:
        raise PictureError(f"its EXIF block is above the limit of {MAX_EXIF_BYTES:,} bytes")
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF, with almost any exception type, says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_camera(image: Image.Image) -> str:
    """Maker and model of the camera, from EXIF in front of the pixels; empty where they are missing or damaged."""
    if "exif" not in image.info or len(image.info["exif"] or b"") > MAX_EXIF_BYTES:
        return ""
    try:
        exif = image.getexif()
        parts = (exif.get(tag) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
        words = [" ".join(part.replace("\0", " ").split()) for part in parts if isinstance(part, str)]
    except Exception:  # damaged EXIF, with almost any exception type, names no camera
        return ""
    maker, *model = [word for word in words if word] or [""]
    # Many models repeat the maker: `Canon`, `Canon EOS 5D`.
    name = model[0] if model and model[0].startswith(maker) else " ".join([maker, *model])
    return name[:MAX_CAMERA_LETTERS]


def _orientation_in_header(image: Image.Image) -> int:
    # Pillow itself rotates a TIFF upright on loading, and would decode a PNG just to look for EXIF behind the pixels.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return exif_orientation(image)


def _expanded(image: Image.Image) -> tuple[int, int]:
    """(bytes of all samples after decompression, bytes of the decoder's buffer), for formats with more than 8 bits.

    libtiff decompresses a whole strip or tile at once, and Pillow rotates a TIFF by a copy.
    """
    width, height = image.size
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return width * height * _png_pixel_bytes(image), 0
    turned = 4 * width * height if exif_orientation(image) > 1 else 0
    try:
        tags = image.tag_v2
        pixel_bytes = tags.get(277, 1) * max(tags.get(258, (1,))) / 8
        num_pixels = tags[322] * tags[323] if 322 in tags else width * min(height, tags.get(278, height))
        is_expanded = bool(image.tile) and image.tile[0][0] == "libtiff"
        buffer = int(num_pixels * max(4, pixel_bytes)) if is_expanded else 0
        return int(width * height * pixel_bytes), turned + buffer
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PictureError("the TIFF's tags contradict each other") from error


def _png_pixel_bytes(image: Image.Image) -> int:
    """Bytes per pixel in a PNG's stream; Pillow marks 16-bit samples by a raw mode such as RGB;16B."""
    if not isinstance(image, PngImagePlugin.PngImageFile) or not image.tile:
        return 0
    return len(image.getbands()) * (2 if ";16" in str(image.tile[0][3]) else 1)
