"""Decoder from bytes to upright RGB, the same one for training, evaluation, serving and export samples.

A JPEG much larger than needed is decoded at a reduced scale (DCT scaling), never below the requested minimum size. The
rule is the same everywhere, because scaled decoding changes pixels. A lossless JPEG is always decoded at full size.

Transparent pixels are blended with white, as viewers do; 16-bit samples keep their high byte; other colour spaces are
converted to sRGB through the embedded ICC profile. Floats and 32-bit integers are read on the smallest scale that holds
all of them: 0 to 1 (floats), 0 to 255 or 0 to 65535.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageCms

from obverse.files import read_regular

from .bmp import lay_on_white
from .limits import MAX_BYTES, MAX_WORKING_BYTES, jpeg_bytes, pillow_bytes, scaled_size, turbo_bytes
from .probe import JPEG_FORMATS, Header, PictureError, exif_orientation, open_picture

Pixels = npt.NDArray[np.uint8]

# Part of every cache key: raise it whenever a decoded pixel may change.
DECODER_VERSION = 5
BAND_PIXELS = 2**20
MAX_PROFILE_BYTES = 4 * 2**20  # profiles of printing presses have 0.5 to 3 MB


def read_picture(
    path: Path | str, *, min_height: int = 0, min_width: int = 0, decode: Callable[..., Pixels] | None = None
) -> Pixels:
    """The pixels of a picture file, as `decode_picture`; PictureError names the file.

    decode: a replacement for `decode_picture`, such as `Sandbox.decode` for files that have not been verified.
    """
    try:
        data = read_regular(path, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{str(path)!r} cannot be read: {reason}") from None
    try:
        return (decode or decode_picture)(data, min_height=min_height, min_width=min_width)
    except PictureError as error:
        raise PictureError(f"{str(path)!r} is unusable: {error}") from None


def decode_picture(data: bytes, *, min_height: int = 0, min_width: int = 0) -> Pixels:
    """Upright RGB pixels, uint8 (height, width, 3).

    min_height, min_width: a larger JPEG may be decoded at 1/2, 1/4 ... as long as it stays at least this large; 0
    means full size. Raises PictureError for anything that is not a usable picture.
    """
    return decode_opened(data, *open_picture(data), min_height=min_height, min_width=min_width)


def decode_opened(
    data: bytes, image: Image.Image, header: Header, *, min_height: int = 0, min_width: int = 0
) -> Pixels:
    """`decode_picture` for a picture that `open_picture` has opened already."""
    if header.orientation >= 5:
        min_height, min_width = min_width, min_height
    least = (min_height, min_width) if min(min_height, min_width) > 0 else (0, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.ascontiguousarray(_decode(data, image, header, least))
    except PictureError:
        raise
    except MemoryError:
        raise PictureError("decoding it needs more memory than there is") from None
    except Exception as error:
        raise PictureError(f"the {header.format} data is damaged or cut short ({error})") from error


def picture_from_image(image: Image.Image) -> Pixels:
    """Upright RGB pixels of a PIL image that is already in memory."""
    if 0 in image.size:
        raise PictureError("it has no pixels")
    drawn = _drawn_box(image)
    image.load()  # a PNG may carry its EXIF behind the pixels
    # Many programs write BMPs of 32 bits whose fourth byte is 0 everywhere and means nothing.
    has_empty_alpha = image.format == "BMP" and image.mode == "RGBA" and image.getextrema()[-1] == (0, 0)
    orientation = exif_orientation(image)
    size = (image.width, image.height) if orientation >= 5 else (image.height, image.width)
    pixels = np.empty((*size, 3), np.uint8)
    stored = _upright(pixels, {6: 8, 8: 6}.get(orientation, orientation))  # a view of the output, as the file lies
    white = _white_level(image)
    # In bands, because a conversion of the whole would hold the picture several times.
    num_rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, num_rows):
        bottom = min(top + num_rows, image.height)
        band = image.crop((0, top, image.width, bottom))
        stored[top:bottom] = _to_rgb(band.convert("RGB") if has_empty_alpha else band, white)
    left, top, right, bottom = drawn
    for outside in (stored[:top], stored[bottom:], stored[:, :left], stored[:, right:]):
        outside[...] = 255
    return pixels


def _drawn_box(image: Image.Image) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the pixels that the file defines: of a GIF its first frame, else the whole picture.

    Outside of its first frame a GIF is transparent, and Pillow fills that area with the first colour of the palette.
    """
    tile = getattr(image, "tile", ())
    if image.format == "GIF" and tile and tile[0][1]:
        left, top, right, bottom = tile[0][1]
        return left, top, right, bottom
    return 0, 0, image.width, image.height


def _decode(data: bytes, image: Image.Image, header: Header, least: tuple[int, int]) -> Pixels:
    size = (header.height, header.width)
    if header.format == "PNG":
        _require_sound_chunks(data)
    elif header.format in JPEG_FORMATS:
        if header.scans is None or not header.scans.can_scale:
            least = (0, 0)
        pixels = _decode_direct(data, header, least)
        if pixels is not None:
            return pixels
        if min(least) > 0:
            size = scaled_size(*size, least)
            image.draft(None, (least[1], least[0]))
    _require_affordable(data, header, pillow_bytes(size, header.format, header.mode) + header.buffer_bytes)
    pixels = picture_from_image(image)
    if header.format == "BMP":
        lay_on_white(pixels, data)
    return pixels


def _decode_direct(data: bytes, header: Header, least: tuple[int, int]) -> Pixels | None:
    """Fast JPEG decoding with libjpeg-turbo; None where only Pillow can interpret the bytes."""
    if header.mode not in ("RGB", "L") or _foreign_profile(header.icc_profile):
        return None
    size = scaled_size(header.height, header.width, least)
    _require_affordable(data, header, turbo_bytes(size, is_turned=header.orientation > 1))
    try:
        if simplejpeg.decode_jpeg_header(data)[:2] != (header.height, header.width):
            return None
        # Exactly 1/8, 1/4, 1/2 or full size: 3/8, 5/8, 6/8 and 7/8 are slower than full size and less exact.
        # (0, 0) means full size. It must not be named by its size: of a side below 8, 7/8 has as many pixels.
        target = (0, 0) if size == (header.height, header.width) else size
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=target[0], min_width=target[1])
    except ValueError:
        return None  # strict mode also refuses harmless oddities, which Pillow distinguishes from truncation
    return _upright(pixels, header.orientation)


def _require_affordable(data: bytes, header: Header, num_bytes: int) -> None:
    if header.scans is not None:
        holds = header.scans.holds_coefficients
        num_bytes += jpeg_bytes((header.height, header.width), header.mode, holds_coefficients=holds)
    num_bytes += len(data)
    if num_bytes > MAX_WORKING_BYTES:
        raise PictureError(
            f"{header.width}x{header.height} pixels (width x height) of this {header.format} need about "
            f"{num_bytes >> 20} MiB to decode, above the limit of {MAX_WORKING_BYTES >> 20}: save it smaller"
        )


def _require_sound_chunks(png: bytes) -> None:
    """PictureError when a PNG's pixel data has a wrong checksum, which Pillow does not verify."""
    place = 8
    while place + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        end = place + 8 + length
        body = memoryview(png)[place + 4 : end]
        if kind == b"IDAT" and zlib.crc32(body) != int.from_bytes(png[end : end + 4], "big"):
            raise PictureError("the PNG data is damaged or cut short (its checksum is wrong)")
        place = end + 4


def _white_level(image: Image.Image) -> float:
    """The sample value of white in a picture of floats or 32-bit integers: 1, 255 or 65535, whichever holds all."""
    if image.mode not in ("I", "F"):
        return 255
    if image.format == "PPM" and image.mode == "I":
        return 65535  # Pillow has already scaled it from the maximum in the header
    low, high = (float(value) for value in image.getextrema() or (0, 0))  # type: ignore[arg-type]
    is_unclear = image.mode == "F" and 1 < high <= 2  # fractions with an overshoot, or an all but black picture
    if not 0 <= low <= high <= 65535 or is_unclear:
        raise PictureError(
            f"its samples range from {low:g} to {high:g}, which tells no white: store 0 to 1, 0 to 255 or 0 to 65535"
        )
    if image.mode == "F" and high <= 1:
        return 1
    return 255 if high <= 255 else 65535


def _to_rgb(image: Image.Image, white: float) -> Pixels:
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        return _stack(np.where(values == image.info.get("transparency", -1), 255, values >> 8))
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise PictureError("it holds samples that are not finite numbers")
        return _stack(np.rint(values * (255 / white)))
    icc_profile = image.info.get("icc_profile")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer, image = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        image.paste(layer, mask=layer)
    if icc_profile and _foreign_profile(icc_profile) and image.mode in ("RGB", "CMYK", "L"):
        image = _to_srgb(image, icc_profile)
    return np.asarray(image.convert("RGB"))


def _stack(gray: npt.NDArray[Any]) -> Pixels:
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@lru_cache(maxsize=8)
def _foreign_profile(icc_profile: bytes | None) -> bool:
    """Whether the embedded ICC profile is of another colour space than sRGB; an unreadable one is ignored."""
    if not icc_profile or len(icc_profile) > MAX_PROFILE_BYTES:
        return False
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)))
    except (ImageCms.PyCMSError, OSError):
        return False
    return "srgb" not in name.lower()


@lru_cache(maxsize=8)
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
    """A view of the pixels (height, width, 3) with the EXIF orientation applied (TIFF 6.0, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
