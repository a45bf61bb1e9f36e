"""Copies of pictures with the answer drawn below them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from obverse.errors import OutputError
from obverse.inference.prediction import Prediction
from obverse.inference.results import answer_words, set_words_of

from .pictures import NamedPicture

# Sides of a drawn picture; a smaller one is enlarged, so that there is room for the answer.
LEAST_SIDE, MOST_SIDE = 320, 1024
GAP = 6
QUALITY = 90
# White letters on them have a contrast of at least 4.5.
COLOURS = {"accept": "#1b6e45", "review": "#8a5200", "reject": "#b3261e", None: "#39434d"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def require_empty(folder: Path) -> None:
    """OutputError when the folder has anything in it, or is a file."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{str(folder)!r} is not empty, and pictures never replace files; give a new folder")
    except OSError as error:
        raise OutputError(f"{str(folder)!r} cannot be written: {error.strerror}") from None


def save_drawn(folder: Path, row: int, answer: Prediction, pictures: Sequence[NamedPicture]) -> None:
    """Save a sample's pictures with its answer as a new JPEG, named by its row and its own name."""
    stem = _UNSAFE.sub("-", Path(answer.id).stem).strip("-.")[:60]
    # Exclusive, because whoever else writes there must not lose a file.
    with (folder / f"{row + 1:06d}{'-' * bool(stem)}{stem}.jpg").open("xb") as file:
        draw_answer(answer, pictures).save(file, "JPEG", quality=QUALITY)


def draw_answer(answer: Prediction, pictures: Sequence[NamedPicture]) -> Image.Image:
    """The pictures side by side, and the answer in a band below them."""
    height = min(MOST_SIDE, max(LEAST_SIDE, *(picture.height for _, picture in pictures)))
    scaled = [_of_height(picture, height) for _, picture in pictures]
    width = max(LEAST_SIDE, sum(picture.width for picture in scaled) + GAP * (len(scaled) - 1))
    size = max(15, width // 28)
    font = ImageFont.truetype(_font_file(), size)
    decided = " · ".join(filter(None, [answer.decision or "", set_words_of(answer)]))
    lines = [line for line in (answer_words(answer), decided) if line]
    sheet = Image.new("RGB", (width, height + (size * 3 // 2) * len(lines) + size // 2), COLOURS[answer.decision])
    pen, left = ImageDraw.Draw(sheet), (width - sum(p.width for p in scaled) - GAP * (len(scaled) - 1)) // 2
    for picture in scaled:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    for number, line in enumerate(lines):
        top = height + size // 3 + number * (size * 3 // 2)
        pen.text((size // 2, top), _fitting(line, width - size, font), fill="white", font=font)
    return sheet


def _of_height(picture: Image.Image, height: int) -> Image.Image:
    """The picture at a height, no wider than `MOST_SIDE`."""
    scale = min(height / picture.height, MOST_SIDE / picture.width)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _fitting(line: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """The line, cut where it would be wider than `width` pixels."""
    plain = "".join(char if char.isprintable() else "?" for char in line)[:400]
    if font.getlength(plain) <= width:
        return plain
    while plain and font.getlength(plain + "…") > width:
        plain = plain[:-1]
    return plain + "…"


@cache
def _font_file() -> str:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has Latin letters alone."""
    from matplotlib import get_data_path

    return str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
