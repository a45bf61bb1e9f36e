"""Maps over pictures as they were given: a model's frame is turned back into that of the whole picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from obverse.data import Geometry
from obverse.imaging import Part

from .explain import HeatMap
from .picture import transparent

# Longer side of an overlay in pixels; finer than any map, and whoever shows it stretches it over the picture.
LONGEST = 256
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")
Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Overlay:
    """A map to be stretched over the picture that it is of."""

    png: bytes
    """RGBA; it covers the whole upright picture, and is transparent where the model did not look or saw nothing."""

    strongest: str
    """The ninth of the picture that holds most of the map, such as `upper left` or `middle`; empty for an empty map."""


def overlay_of(heats: Sequence[HeatMap], geometry: Geometry, parts: Sequence[Part], size: tuple[int, int]) -> Overlay:
    """The map of one picture.

    heats: its map on the model's canvas, or one for each of `parts`. size: (height, width) of the upright picture.
    """
    if not parts:
        (heat_HW,) = heats
        return _encoded(_on_picture(heat_HW, geometry, size))
    levels_HW = np.zeros(_shrunk(size), np.uint8)
    for part, heat_HW in zip(parts, heats, strict=True):
        place = part.place(*size)
        of_part = _on_picture(heat_HW, geometry, part.size(*size))
        target = tuple(
            slice(round(one.start * side / whole), max(round(one.stop * side / whole), 1))
            for one, side, whole in zip(place, levels_HW.shape, size, strict=True)
        )
        height, width = levels_HW[target].shape
        if height and width:
            levels_HW[target] = _resized(of_part, height, width)
    return _encoded(levels_HW)


def _on_picture(heat_HW: HeatMap, geometry: Geometry, size: tuple[int, int]) -> Levels:
    """The map (H, W) over the whole picture, 0 where the model saw nothing of it."""
    # Bytes, because a picture of an extreme shape that is cropped is very large before.
    resized_HW = geometry.on_picture((255 * heat_HW).round().astype(np.uint8), *size)
    return _resized(resized_HW, *_shrunk(size))


def _resized(levels_HW: Levels, height: int, width: int) -> Levels:
    return np.asarray(Image.fromarray(levels_HW).resize((width, height), Image.Resampling.BILINEAR))


def _shrunk(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encoded(levels_HW: Levels) -> Overlay:
    buffer = io.BytesIO()
    transparent((levels_HW / 255).astype(np.float32)).save(buffer, "PNG", compress_level=1)
    return Overlay(buffer.getvalue(), _strongest(levels_HW))


def _strongest(levels_HW: Levels) -> str:
    """The ninth with the largest mean."""
    if not levels_HW.any():
        return ""
    means = {
        (row, column): ninth.mean() if ninth.size else 0.0
        for row, third in zip(ROWS, np.array_split(levels_HW, 3), strict=True)
        for column, ninth in zip(COLUMNS, np.array_split(third, 3, axis=1), strict=True)
    }
    row, column = max(means, key=means.__getitem__)
    return row if row == column else f"{row} {column}"
