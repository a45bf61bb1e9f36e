"""Bytes to upright RGB: the one decoder of training, evaluation, serving and export samples (requirement T8).

A JPEG much larger than needed is decoded at a reduced scale (DCT scaling), never below the size asked for; the rule is
the same everywhere, because scaled decoding changes pixels. Transparent pixels are laid on white, as viewers show them;
16-bit samples keep their high byte; other colour spaces go to sRGB through the embedded ICC profile.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageCms

from .probe import Header, PictureError, exif_orientation, open_picture

Pixels = npt.NDArray[np.uint8]

# Part of every cache key: raise it whenever a decoded pixel may change.
DECODER_VERSION = 2


def read_picture(path: Path | str, *, min_height: int = 0, min_width: int = 0) -> Pixels:
    """Decode a file; see `decode_picture`. PictureError names the file."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{str(path)!r} cannot be read: {reason}") from None
    try:
        return decode_picture(data, min_height=min_height, min_width=min_width)
    except PictureError as error:
        raise PictureError(f"{str(path)!r} is unusable: {error}") from None


def decode_picture(data: bytes, *, min_height: int = 0, min_width: int = 0) -> Pixels:
    """Upright RGB pixels, uint8 (height, width, 3).

    min_height, min_width: a larger JPEG may be decoded at 1/2, 1/4 ... as long as it stays at least this large; 0
    means full size. Raises PictureError for anything that is not a usable picture.
    """
    image, header = open_picture(data)
    if header.orientation >= 5:
        min_height, min_width = min_width, min_height
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = _decode(data, image, header, (min_height, min_width))
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(f"the {header.format} data is damaged or cut short ({error})") from error
    return np.ascontiguousarray(pixels)


def picture_from_image(image: Image.Image) -> Pixels:
    """Upright RGB pixels of a PIL image that is already in memory."""
    image.load()  # a PNG may carry its EXIF behind the pixels
    pixels = _to_rgb(image, image.info.get("icc_profile"))
    return np.ascontiguousarray(_upright(pixels, exif_orientation(image)))


def _decode(data: bytes, image: Image.Image, header: Header, least: tuple[int, int]) -> Pixels:
    if header.format == "PNG":
        _require_sound_chunks(data)
    if header.format in ("JPEG", "MPO"):
        least = least if min(least) > 0 else (0, 0)
        if header.mode in ("RGB", "L") and not _foreign_profile(header.icc_profile):
            try:
                pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=least[0], min_width=least[1])
                return _upright(pixels, header.orientation)
            except ValueError:
                pass  # strict mode also refuses harmless oddities; Pillow tells those from truncation
        if min(least) > 0:
            image.draft(None, (least[1], least[0]))
    return picture_from_image(image)


def _require_sound_chunks(png: bytes) -> None:
    """Pillow skips the checksum of a PNG's pixel data, so that a flipped bit would pass as a picture."""
    place = 8
    while place + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        body = memoryview(png)[place + 4 : end]
        if kind == b"IDAT" and zlib.crc32(body) != int.from_bytes(png[end : end + 4], "big"):
            raise PictureError("the PNG data is damaged or cut short (its checksum is wrong)")
        place = end + 4


def _to_rgb(image: Image.Image, icc_profile: bytes | None) -> Pixels:
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        return _stack(np.where(values == image.info.get("transparency", -1), 255, values >> 8))
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        return _stack(values / 257 if values.max(initial=0) > 255 else values)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if icc_profile and _foreign_profile(icc_profile) and image.mode in ("RGB", "CMYK", "L"):
        image = _to_srgb(image, icc_profile)
    return np.asarray(image.convert("RGB"))


def _stack(gray: npt.NDArray[Any]) -> Pixels:
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@lru_cache(maxsize=64)
def _foreign_profile(icc_profile: bytes | None) -> bool:
    """Whether an embedded profile says that the numbers are not sRGB already; an unreadable one is ignored."""
    if not icc_profile:
        return False
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)))
    except (ImageCms.PyCMSError, OSError):
        return False
    return "srgb" not in name.lower()


@lru_cache(maxsize=64)
def _srgb_transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _to_srgb(image: Image.Image, icc_profile: bytes) -> Image.Image:
    try:
        converted = ImageCms.applyTransform(image, _srgb_transform(icc_profile, image.mode))
    except (ImageCms.PyCMSError, OSError):  # a profile for another colour space than the pixels: ignore it
        return image
    return converted or image


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply the EXIF orientation (TIFF 6.0, tag 274) to (height, width, 3)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
