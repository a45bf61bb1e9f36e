"""Transparency that a header or a frame's place says, and Pillow leaves out."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from obverse.imaging import Pixels, decode_picture, picture_from_image


def bmp(values: npt.NDArray[np.uint16] | npt.NDArray[np.uint32], masks: tuple[int, int, int, int]) -> bytes:
    """A bottom-up BITMAPV4HEADER with bit fields."""
    height, width = values.shape
    bits = values.dtype.itemsize * 8
    rows = [row.tobytes() + b"\0" * (-len(row.tobytes()) % 4) for row in values[::-1]]
    body = b"".join(rows)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, bits, 3, len(body), 0, 0, 0, 0)
    header += struct.pack("<4I", *masks) + b"BGRs" + b"\0" * 48
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(body), 0, 0, 122) + header + body


MASKS_5551 = (0x7C00, 0x3E0, 0x1F, 0x8000)
MASKS_8888 = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def test_alpha_of_sixteen_bits_is_laid_on_white() -> None:
    values = np.array([[0x7C00, 0xFC00, 0x001F], [0x801F, 0x0000, 0x83E0]], np.uint16)
    white, red, blue, green = [255] * 3, [255, 0, 0], [0, 0, 255], [0, 255, 0]
    np.testing.assert_array_equal(decode_picture(bmp(values, MASKS_5551)), [[white, red, white], [blue, white, green]])


def test_alpha_of_thirty_two_bits_is_laid_on_white() -> None:
    values = np.array([[0x00FF0000, 0xFFFF0000, 0x800000FF]], np.uint32)
    np.testing.assert_array_equal(
        decode_picture(bmp(values, MASKS_8888)), [[[255, 255, 255], [255, 0, 0], [127, 127, 255]]]
    )


@pytest.mark.parametrize(("masks", "kind"), [(MASKS_5551, np.uint16), (MASKS_8888, np.uint32)])
def test_alpha_that_is_zero_everywhere_is_none(masks: tuple[int, int, int, int], kind: type) -> None:
    blue = np.full((2, 3), masks[2], kind)
    np.testing.assert_array_equal(decode_picture(bmp(blue, masks)), np.broadcast_to([0, 0, 255], (2, 3, 3)))


def gif(screen: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    """A first frame of blue in `box` (left, top, width, height), and a palette whose first colour is red."""
    buffer = io.BytesIO()
    frame = Image.new("P", box[2:], 1)
    frame.putpalette([255, 0, 0, 0, 0, 255])
    frame.save(buffer, "GIF", optimize=False)
    data = bytearray(buffer.getvalue())
    data[6:10] = struct.pack("<HH", *screen)
    place = data.index(b",", 13 + (3 << (data[10] & 7) + 1))
    data[place + 1 : place + 9] = struct.pack("<4H", *box)
    return bytes(data)


def framed(screen: tuple[int, int], box: tuple[int, int, int, int]) -> Pixels:
    left, top, width, height = box
    expected = np.full((screen[1], screen[0], 3), 255, np.uint8)
    expected[top : top + height, left : left + width] = [0, 0, 255]
    return expected


@pytest.mark.parametrize("box", [(2, 1, 3, 4), (0, 0, 8, 2), (5, 0, 3, 6), (0, 0, 8, 6)])
def test_around_the_first_frame_of_a_gif_is_nothing(box: tuple[int, int, int, int]) -> None:
    data = gif((8, 6), box)
    np.testing.assert_array_equal(decode_picture(data), framed((8, 6), box))
    np.testing.assert_array_equal(picture_from_image(Image.open(io.BytesIO(data))), framed((8, 6), box))
