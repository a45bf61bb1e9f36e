"""Alpha channel of BMP files with 16 bits a pixel, which Pillow ignores.

Layout: BITMAPV3INFOHEADER and later (MS-WMF).
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

_BITFIELDS = 3
_LEAST_HEADER = 56  # bytes of BITMAPV3INFOHEADER, the first header with an alpha mask
_BAND_ROWS = 256


def lay_on_white(pixels: npt.NDArray[np.uint8], data: bytes) -> None:
    """Alpha blending of RGB pixels (height, width, 3) with white, in place, by the alpha bits of the file's pixels.

    If all alpha bits are zero, there is no alpha: many programs write the mask and never set the bits.
    """
    alpha = _masked(data)
    if alpha is None or not alpha[0].any():
        return
    values_HW, mask = alpha
    lowest = mask & -mask
    for top in range(0, len(pixels), _BAND_ROWS):
        band = pixels[top : top + _BAND_ROWS]
        share = values_HW[top : top + _BAND_ROWS, :, None] / lowest / (mask / lowest)
        band[...] = np.rint(255 - (255 - band.astype(np.float64)) * share).astype(np.uint8)


def _masked(data: bytes) -> tuple[npt.NDArray[np.uint16], int] | None:
    """The alpha bits of all pixels (height, width), top row first, and their mask; None for any other BMP."""
    if len(data) < 14 + _LEAST_HEADER:
        return None
    start, length, width, height, _, bits, packing = struct.unpack_from("<IIiiHHI", data, 10)
    (mask,) = struct.unpack_from("<I", data, 14 + 52)
    if bits != 16 or packing != _BITFIELDS or length < _LEAST_HEADER or not 0 < mask < 2**16 or width < 1:
        return None
    num_rows, stride = abs(height), (width * 2 + 3) // 4 * 4
    if len(data) < start + num_rows * stride:
        return None
    rows = np.frombuffer(data, "<u2", num_rows * stride // 2, start).reshape(num_rows, stride // 2)
    values_HW = rows[:, :width] & np.uint16(mask)
    return (values_HW if height < 0 else values_HW[::-1]), int(mask)
