"""Structural limits of picture files, checked cheaply before any parser reads the bytes.

This is no parser: it only counts elements that cost time or memory out of proportion to the bytes. Pillow reads headers
in Python and joins some of their parts in quadratic time; libjpeg visits every coefficient in every scan.
Layouts: JPEG T.81 annex B, PNG 3rd edition chapter 5, GIF89a chapters 15 to 26, TIFF 6.0 section 2, BMP version 3.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np

MAX_SCANS = 64  # progressive photographs have about 10
MAX_SEGMENTS = 4096
MAX_CHUNKS = 100_000
MAX_EXIF_BYTES = 2**20
MAX_PHOTOSHOP_BYTES = 4 * 2**20
MAX_TIFF_TAGS = 4096
MAX_TIFF_NUMBER_BYTES = 2**20  # strip offsets of 40,000 rows are 320 kB
MAX_RUN_LENGTH_BYTES = 2 * 2**20  # Pillow decodes run-length BMP and some PNM in Python

# T.81 table B.1. libjpeg-turbo scales only frames of DCT blocks. A lossless frame is decoded at full size whatever
# scale is requested, which would overflow a buffer of the scaled size.
_DCT_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_LOSSLESS_FRAME = 0xC3
_OTHER_FRAMES = frozenset({0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})

_IS_MARKER = np.array([0x01 <= code <= 0xCF or 0xD8 <= code <= 0xFE for code in range(256)])  # no stuffing, no restart
_BLOCK = 2**18
_TIFF_UNIT_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


class StructureError(ValueError):
    """Structure that exceeds a limit; callers turn it into a PictureError."""


@dataclass(frozen=True, slots=True)
class JpegScans:
    """Scans of a JPEG.

    num_scans: passes over the pixels. holds_coefficients: whether the decoder keeps all coefficients in memory until
    the last scan. can_scale: whether every frame is made of DCT blocks, which can be decoded at a reduced scale.
    """

    num_scans: int
    holds_coefficients: bool
    can_scale: bool


def require_modest_structure(data: bytes) -> None:
    """StructureError when reading the header alone could take long or fill the memory."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        _walk_png(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        _walk_gif(data)
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0", b"II\0+", b"MM+\0"):
        _walk_tiff(data)
    elif data.startswith(b"BM") and len(data) > MAX_RUN_LENGTH_BYTES and data[30:34] in (b"\1\0\0\0", b"\2\0\0\0"):
        raise StructureError(f"a run-length BMP of {len(data):,} bytes is above the limit of {MAX_RUN_LENGTH_BYTES:,}")
    elif len(data) > MAX_RUN_LENGTH_BYTES and _is_slow_pnm(data):
        raise StructureError(
            f"a PNM of {len(data):,} bytes in text, or with a white that is neither 255 nor 65535, is above the limit "
            f"of {MAX_RUN_LENGTH_BYTES:,}"
        )


def _is_slow_pnm(data: bytes) -> bool:
    """Whether Pillow decodes a PNM in Python: samples as text, or samples that it must rescale."""
    header = re.match(rb"P(\d)(?:\s+|#[^\r\n]*)*\d+(?:\s+|#[^\r\n]*)*\d+(?:\s+|#[^\r\n]*)*(\d*)", data[:1024])
    if header is None:
        return data[:1] == b"P" and data[1:2].isdigit()
    return header[1] in b"123" or (header[1] in b"56" and header[2] not in (b"255", b"65535"))


def jpeg_scans(data: bytes) -> JpegScans:
    """The scans of a JPEG, from its markers alone; StructureError when there are too many."""
    place, num_scans, progressive = 2, 0, False
    frames: set[int] = set()
    num_bytes: Counter[int] = Counter()
    for _ in range(MAX_SEGMENTS):
        place = _behind_marker(data, place)
        code = data[place - 1] if place else 0xD9
        if code == 0xD9:
            can_scale = bool(frames) and frames <= _DCT_FRAMES
            return JpegScans(num_scans, progressive or num_scans > 1, can_scale)
        if code in (0x01, 0xD8):
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        if code in _DCT_FRAMES or code == _LOSSLESS_FRAME or code in _OTHER_FRAMES:
            _require_readable(code, data[place + 2 : place + 3])
            frames.add(code)
        num_scans += code == 0xDA
        progressive |= code in (0xC2, 0xC6, 0xCA, 0xCE)
        num_bytes[code] += length if code != 0xE1 or data.startswith(b"Exif\0", place + 2) else 0
        if num_scans > MAX_SCANS:
            raise StructureError(f"the JPEG has more than {MAX_SCANS} scans")
        if num_bytes[0xE1] > MAX_EXIF_BYTES or num_bytes[0xED] > MAX_PHOTOSHOP_BYTES:
            raise StructureError("the JPEG has more metadata than its limits allow")
        place += max(2, length)
    raise StructureError(f"the JPEG has more than {MAX_SEGMENTS} segments")


def _require_readable(frame: int, precision: bytes) -> None:
    """StructureError for frame types and sample sizes that are not supported."""
    if frame in _OTHER_FRAMES:
        what = f"a JPEG of the rare kind SOF{frame - 0xC0} (lossless arithmetic or hierarchical)"
    elif precision and precision[0] != 8:
        what = f"a JPEG with {precision[0]} bits a sample, where 8 are usual"
    else:
        return
    raise StructureError(f"{what}, which cannot be read: save it as an ordinary JPEG or as PNG")


def _behind_marker(data: bytes, place: int) -> int:
    """The end of the next marker, or 0. NumPy skips the many 0xFF of pixel data ten times faster than `re` does."""
    if place + 1 < len(data) and data[place] == 0xFF and _IS_MARKER[data[place + 1]]:
        return place + 2
    while place < len(data) - 1:
        block = np.frombuffer(data, np.uint8, min(_BLOCK + 1, len(data) - place), place)
        at = np.flatnonzero(block[:-1] == 0xFF)
        at = at[_IS_MARKER[block[at + 1]]]
        if len(at):
            return place + int(at[0]) + 2
        place += len(block) - 1
    return 0


def _walk_png(data: bytes) -> None:
    place = 8
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"eXIf" and length > MAX_EXIF_BYTES:
            raise StructureError("the PNG has more metadata than its limits allow")
        place += 12 + length
    raise StructureError(f"the PNG has more than {MAX_CHUNKS:,} chunks")


def _walk_gif(data: bytes) -> None:
    """StructureError for too many blocks before the first picture; Pillow joins those of a comment quadratically."""
    place = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    in_extension = False
    for _ in range(MAX_SEGMENTS):
        if place >= len(data) or (not in_extension and data[place] in b",;"):
            return
        if in_extension:
            in_extension = data[place] != 0
            place += 1 + data[place]
        else:
            in_extension = data[place] == 0x21
            place += 2 if in_extension else 1
    raise StructureError(f"the GIF has more than {MAX_SEGMENTS} blocks before its first picture")


def _walk_tiff(data: bytes) -> None:
    """StructureError for oversized tags in the first directory.

    Values may overlap, so that few bytes claim many, and Pillow turns every number into a Python object.
    """
    order, is_big = "<" if data[:2] == b"II" else ">", data[2] == 43
    entry, step, count_place = ("HHQ", 20, 8) if is_big else ("HHI", 12, 4)
    try:
        (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, count_place)
        (num_tags,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, place)
    except (struct.error, OverflowError):
        return  # the parser raises for such a file
    if num_tags > MAX_TIFF_TAGS:
        raise StructureError(f"the TIFF has {num_tags:,} tags, more than the limit of {MAX_TIFF_TAGS:,}")
    num_bytes = num_number_bytes = 0
    for start in range(place + (8 if is_big else 2), len(data) - step + 1, step)[:num_tags]:
        _, kind, count = struct.unpack_from(order + entry, data, start)
        num_bytes += count * _TIFF_UNIT_BYTES.get(kind, 1)
        num_number_bytes += count * _TIFF_UNIT_BYTES.get(kind, 0)
    if num_bytes > len(data) or num_number_bytes > MAX_TIFF_NUMBER_BYTES:
        raise StructureError("the TIFF's tags claim more bytes than its limits allow")
