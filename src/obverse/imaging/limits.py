"""Limits of a picture's size and memory: decoding takes at most 3 seconds of a core and 512 MiB in the whole process.

The bytes per pixel were measured as the peak resident memory of a child process (benchmarks/hostile.py). Photographs of
48 megapixels (8000x6000) fit in every format but WebP, which Pillow decodes through its animation canvas. A JPEG that
is decoded at a reduced scale may have 200 megapixels.
"""

from __future__ import annotations

MAX_BYTES = 160 * 2**20
MAX_PIXELS = 200_000_000
MAX_SIDE = 40_000
MAX_ASPECT = 200
# Bytes after decompression, before Pillow drops the low bytes of 16-bit samples: about 3 seconds of inflating.
MAX_RAW_BYTES = 200_000_000
# The interpreter with numpy and Pillow needs the rest of the 512 MiB.
MAX_WORKING_BYTES = 460 * 2**20

# Bytes per pixel: of our output, of Pillow's modes (four for all others), of WebP, of libjpeg's coefficients.
_OUTPUT = 3
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_WEBP = 16
_COEFFICIENTS = {"L": 2, "CMYK": 8}


def refuse_size(height: int, width: int) -> str:
    """The reason to refuse a picture of this size from its header alone; empty when it is allowed."""
    size = f"{width}x{height} pixels (width x height)"
    if min(height, width) < 1:
        return f"the picture has {size}"
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        return f"{size} is above the limit of {MAX_SIDE} a side and {MAX_PIXELS:,} in all"
    if max(height, width) > MAX_ASPECT * min(height, width):
        return f"{size} is longer than {MAX_ASPECT} times its other side"
    return ""


def scaled_size(height: int, width: int, least: tuple[int, int]) -> tuple[int, int]:
    """Size of a scaled JPEG decode: the first of 1/8, 1/4, 1/2 and full size that reaches `least`; (0, 0): full."""
    if min(least) <= 0:
        return height, width
    for eighths in (1, 2, 4, 8):
        scaled = -(-height * eighths // 8), -(-width * eighths // 8)
        if scaled[0] >= least[0] and scaled[1] >= least[1]:
            return scaled
    return height, width


def jpeg_bytes(size: tuple[int, int], mode: str, *, holds_coefficients: bool) -> int:
    """Memory of libjpeg's coefficients, independent of the output's scale."""
    return size[0] * size[1] * _COEFFICIENTS.get(mode, 6) if holds_coefficients else 0


def turbo_bytes(size: tuple[int, int], *, is_turned: bool) -> int:
    """Memory of the output of libjpeg-turbo; applying the orientation needs a second copy."""
    return size[0] * size[1] * _OUTPUT * (2 if is_turned else 1)


def pillow_bytes(size: tuple[int, int], kind: str, mode: str) -> int:
    """Memory of Pillow's picture and of our output, which is converted in bands."""
    return size[0] * size[1] * (_OUTPUT + (_WEBP if kind == "WEBP" else _STORED.get(mode, 4)))
