"""Pictures made to break decoders, written byte by byte; `measure` tells what one costs in a process of its own."""

from __future__ import annotations

import io
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from obverse.imaging import PictureError, decode_picture

MIB = 2**20


def measure(data: bytes) -> tuple[str, float, float]:
    """(refusal or size, processor seconds, peak MiB of the whole process); call it in a fresh process.

    On Linux the peak is VmHWM, which is ru_maxrss without what the parent had when it started the process.
    """
    start = time.process_time()
    try:
        pixels = decode_picture(data)
        said = f"{pixels.shape[1]}x{pixels.shape[0]}"
    except PictureError as error:
        said = f"refused: {error}"
    return said, time.process_time() - start, peak_mib()


def peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, before: bytes = b"", pixels: bytes | None = None, kind: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    body = zlib.compress(b"\0" * 1000) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zeros(num_bytes: int) -> bytes:
    """Deflated zeros, without holding them."""
    deflate = zlib.compressobj(1)
    parts = [deflate.compress(b"\0" * MIB) for _ in range(num_bytes // MIB)]
    return b"".join([*parts, deflate.compress(b"\0" * (num_bytes % MIB)), deflate.flush()])


def saved(kind: str, width: int = 60, height: int = 40, **options: object) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def with_segments(segments: bytes) -> bytes:
    jpeg = saved("JPEG")
    return jpeg[:2] + segments + jpeg[2:]


def many_scans(width: int, height: int, num_scans: int) -> bytes:
    """A valid grey progressive JPEG whose scans each visit every block for a few bytes (T.81 annex G: EOB runs)."""
    num_blocks = -(-width // 8) * -(-height // 8)
    run = np.unpackbits(np.frombuffer(b"\x3f\xff", np.uint8))[1:]  # symbol 0xE0 and 14 ones: 32,767 blocks
    bits = np.tile(run, -(-num_blocks // 32767))
    ac = np.packbits(np.concatenate([bits, np.ones(-len(bits) % 8, np.uint8)])).tobytes().replace(b"\xff", b"\xff\0")
    parts = [b"\xff\xd8", segment(0xDB, b"\0" + b"\x10" * 64)]
    parts.append(segment(0xC2, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)))
    parts += [segment(0xC4, bytes([table, 1, *[0] * 15, symbol])) for table, symbol in ((0x00, 0), (0x10, 0xE0))]
    parts += [segment(0xDA, bytes([1, 1, 0, 0, 0, 0])), b"\0" * -(-num_blocks // 8)]
    for number in range(num_scans - 1):
        high, k = 13 - number // 63, 1 + number % 63
        before = 0 if number < 63 else high + 1
        parts += [segment(0xDA, bytes([1, 1, 0, k, k, before << 4 | high])), ac]
    return b"".join([*parts, b"\xff\xd9"])


def gif(width: int, height: int, *, before: bytes = b"", frame: tuple[int, int] = (1, 1)) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + before + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0;"


def tiff(tags: list[tuple[int, int, int, int]], tail: bytes = b"", *, following: int = 0) -> bytes:
    """tags: (tag, type, count, value or offset); the tail starts behind the directory."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following) + tail


def tiff_picture(width: int, height: int, compression: int, tail: bytes, *extra: tuple[int, int, int, int]) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    tags += [(277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(tail))]
    start = 14 + 12 * (len(tags) + 1 + len(extra))
    return tiff([*tags, (273, 4, 1, start), *extra], tail)


def bmp_runs(width: int, height: int, num_bytes: int) -> bytes:
    head = struct.pack("<IIIHHIIIIII", 40, width, height, 1, 8, 1, num_bytes, 0, 0, 256, 0) + b"\0" * 1024
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + len(head) + num_bytes, 0, 0, 14 + len(head))
        + head
        + b"\1\7" * (num_bytes // 2)
    )


def webp_canvas(side: int) -> bytes:
    body = saved("WEBP")[12:]
    size = struct.pack("<I", side - 1)[:3]
    parts = b"WEBPVP8X" + struct.pack("<II", 10, 0) + size + size + body
    return b"RIFF" + struct.pack("<I", len(parts)) + parts


def exif_loop(pointer_tag: int) -> bytes:
    """An EXIF directory whose successor or sub-directory is itself."""
    entry = struct.pack("<HHII", pointer_tag, 4, 1, 8)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8)


# Name -> a function that makes the bytes; all of them are refused.
BOMBS: dict[str, Callable[[], bytes]] = {
    "1x60000.png": lambda: png(1, 60_000),
    "30000x30000.png": lambda: png(30_000, 30_000),
    "200-megapixel-zeros.png": lambda: png(20_000, 10_000, pixels=zeros(10_000 * 60_001)),
    "chunks.png": lambda: png(8, 8, before=chunk(b"tEXt", b"a\0b") * 200_000),
    "pixel-chunks.png": lambda: png(8, 8, before=chunk(b"IDAT", b"") * 200_000),
    "large-exif.png": lambda: png(8, 8, before=chunk(b"eXIf", b"II*\0" + b"\0" * 8 * MIB)),
    "compressed-text.png": lambda: png(8, 8, before=chunk(b"zTXt", b"a\0\0" + zeros(200 * MIB))),
    "many-scans.jpg": lambda: many_scans(8000, 6000, 800),
    "huge-progressive.jpg": lambda: many_scans(20_000, 10_000, 10),
    "65500x65500.jpg": lambda: many_scans(65_500, 65_500, 2)[:4000],
    "segments.jpg": lambda: with_segments(segment(0xE5, b"") * 2_000_000),
    "exif-segments.jpg": lambda: with_segments(segment(0xE1, b"Exif\0\0" + b"\0" * 1000) * 4000),
    "photoshop-segments.jpg": lambda: with_segments(
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\0" * 5000) * 400
    ),
    "65535x65535.gif": lambda: gif(65_535, 65_535),
    "14000x14000.gif": lambda: gif(14_000, 14_000),
    "comment.gif": lambda: gif(8, 8, before=b"!\xfe" + (b"\xff" + b"a" * 255) * 80_000 + b"\0"),
    "junk.gif": lambda: gif(8, 8, before=b"\1" * 20_000_000),
    "lying-size.tif": lambda: tiff_picture(30_000, 6000, 1, b"\0" * 1000),
    "overlapping-tags.tif": lambda: tiff([(300 + n, 7, 900_000, 8) for n in range(4000)], b"\0" * 950_000),
    "numbers.tif": lambda: tiff([(256, 4, 12_000_000, 26)], b"\0" * 48_000_000),
    "tags.tif": lambda: tiff([(n, 4, 1, 8) for n in range(60_000)]),
    "strips.tif": lambda: tiff([(256, 3, 1, 1), (257, 4, 1, 900), (273, 4, 2_000_000, 38)], b"\0" * 8_000_000),
    "one-strip.tif": lambda: tiff_picture(12_000, 12_000, 8, zeros(144_000_000)),
    "tile.tif": lambda: tiff_picture(
        64, 64, 8, zeros(64), (322, 4, 1, 2**31 - 16), (323, 4, 1, 2**31 - 16), (324, 4, 1, 200), (325, 4, 1, 64)
    ),
    "wide-samples.tif": lambda: tiff_picture(9000, 9000, 8, zeros(1000), (339, 3, 1, 3)).replace(
        struct.pack("<HHII", 258, 3, 1, 8), struct.pack("<HHII", 258, 3, 1, 32)
    ),
    "runs.bmp": lambda: bmp_runs(10_000, 9000, 20_000_000),
    "10000x10000.webp": lambda: webp_canvas(10_000),
}
# Unpleasant, but within the limits: each must end, as a picture or with PictureError, at the full allowance.
HEAVY: dict[str, Callable[[], bytes]] = {
    "8000x6000-64-scans.jpg": lambda: many_scans(8000, 6000, 64),
    "8000x6000.png": lambda: png(8000, 6000, pixels=zeros(6000 * 24_001)),
    "8000x6000-alpha.png": lambda: png(8000, 6000, pixels=zeros(6000 * 32_001), kind=6),
    "8000x6000.jpg": lambda: saved("JPEG", 8000, 6000, quality=95),
    "8000x6000-progressive.jpg": lambda: saved("JPEG", 8000, 6000, quality=75, progressive=True),
    "6000x3000-turned.jpg": lambda: saved(
        "JPEG", 6000, 3000, exif=b"Exif\0\0II*\0" + bytes.fromhex("08000000010012010300010000000600000000000000")
    ),
    "8000x6000.bmp": lambda: saved("BMP", 8000, 6000),
    "8000x6000.tif": lambda: saved("TIFF", 8000, 6000),
    "8000x6000-deflate.tif": lambda: saved("TIFF", 8000, 6000, compression="tiff_adobe_deflate"),
    "6000x3000-lossless.webp": lambda: saved("WEBP", 6000, 3000, lossless=True, method=0),
    "10000x10000.gif": lambda: gif(10_000, 10_000),
    "runs.bmp": lambda: bmp_runs(10_000, 9000, 2 * MIB - 2000),
    "exif-next-loop.jpg": lambda: with_segments(segment(0xE1, exif_loop(0x0112))),
    "exif-sub-loop.jpg": lambda: with_segments(segment(0xE1, exif_loop(0x8769))),
    "directory-loop.tif": lambda: tiff([(256, 3, 1, 4), (257, 3, 1, 4)], following=8),
    "million-blocks.gif": lambda: gif(8, 8) + (b"!\xfe" + (b"\xff" + b"a" * 255) * 4000 + b"\0") * 4,
}
