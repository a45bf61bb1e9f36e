"""Drawing of maps: a row per view, with the input picture and each map as an overlay."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .explain import Explanation, HeatMap
from .influence import Influence
from .methods import OF_CLASS

GAP = 6
CAPTION = 16
# Maximum opacity of a map.
MOST_COVERED = 0.65
Picture = npt.NDArray[np.uint8]


def draw(explanation: Explanation, target: str, *, tile: int = 320, title: str = "") -> Image.Image:
    """A sheet of tiles with captions, each `tile` pixels on the longer side.

    target: name of the explained class. title: line above the tiles; empty for none.
    """
    rows = []
    for view, pixels in explanation.views.items():
        tiles = {_moved(view, explanation.influence): pixels}
        for method, heat_HW in explanation.maps[view].items():
            named = f"{method}: {target}" if method in OF_CLASS else method
            tiles[named] = overlay(pixels, heat_HW)
        rows.append(tiles)
    height, width = _tile_size(next(iter(explanation.views.values())).shape, tile)
    columns = max(len(tiles) for tiles in rows)
    start = GAP + (CAPTION if title else 0)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, start + len(rows) * (height + CAPTION + GAP)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION - 4)
    pen.text((GAP, GAP // 2), _fitting(title, sheet.width), fill="black", font=font)
    for y, tiles in enumerate(rows):
        for x, (caption, pixels) in enumerate(tiles.items()):
            left, top = GAP + x * (width + GAP), start + y * (height + CAPTION + GAP)
            pen.text((left, top), _fitting(caption, width), fill="black", font=font)
            picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(picture, (left, top + CAPTION))
    return sheet


def _moved(view: str, influence: Influence | None) -> str:
    """The name of a view, with what it adds to the probability of the explained class."""
    return view if influence is None else f"{view}: {influence.gain_words(view)}"


def overlay(pixels: Picture, heat_HW: HeatMap) -> Picture:
    """The picture blended with the map's colour, with an opacity that grows with the map."""
    color_HW3, cover_HW1 = _tint(heat_HW)
    mixed: Picture = (pixels * (1 - cover_HW1) + color_HW3 * cover_HW1).round().astype(np.uint8)
    return mixed


def transparent(heat_HW: HeatMap) -> Image.Image:
    """The map's colour alone, RGBA; laid over the picture it gives `overlay`."""
    color_HW3, cover_HW1 = _tint(heat_HW)
    return Image.fromarray(np.concatenate([color_HW3, 255 * cover_HW1], axis=2).round().astype(np.uint8))


def _tint(heat_HW: HeatMap) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Colour (H, W, 3) from 0 to 255, and opacity (H, W, 1) from 0 to 1."""
    from matplotlib import colormaps

    return colormaps["inferno"](heat_HW)[..., :3] * 255, MOST_COVERED * np.sqrt(heat_HW)[..., None]


def _tile_size(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    scale = longest / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _fitting(caption: str, width: int) -> str:
    """The caption shortened to a width in pixels; a name may have any length and alphabet."""
    most = max(4, width // 7)
    plain = "".join(char if char.isprintable() else "?" for char in caption)
    return plain if len(plain) <= most else plain[: most - 2] + ".."
