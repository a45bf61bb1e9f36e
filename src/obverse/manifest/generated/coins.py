"""Synthetic two-view data set: graded coins, each with an obverse and a reverse picture.

The label depends on both views:

- Samples cycle through the grades, so the classes are balanced.
- A random bit picks the side that shows the wear of the sample's grade.
- The other side shows a grade drawn uniformly from the strictly better ones. Both sides of the top grade show it.

The label is therefore the worse grade of the two sides, and neither side alone determines it.
`best_single_view_accuracy` is the upper bound for a model that sees only one side.

A side is rendered as a height field, worn from the top down and lit from one direction. Rising wear removes fine detail
first, then high relief, then lettering, then the rim, as the Sheldon grades describe it. Lustre disappears at the least
wear. The most worn coin is a flat, slightly pitted disc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .shapes import (
    Floats,
    Points,
    check_request,
    claim_folder,
    mottled,
    sample_rng,
    save_picture,
    to_picture,
)

# In grade order, worst to best: an index into GRADES is both the label and the grade of a side.
GRADES = ("G04", "VF20", "XF40", "AU50", "MS65")
SIDES = ("obverse", "reverse")
RULE = "The label is the worse of the two sides: a coin flip picks which side shows it, the other side is better."

# Wear of each grade, in the order of GRADES: 0 is mint state, 1 is flat. Neighbours are at least 0.23 apart, more than
# ten times the jitter, so that the grades never overlap.
_WEAR = (0.97, 0.74, 0.51, 0.28, 0.02)
# Half-width of the uniform noise added to a side's wear.
_WEAR_JITTER = 0.02
# Pixels of the drawing canvas per pixel of the picture, along each axis.
_SUPERSAMPLE = 2
# Half the width of the drawing canvas, in coin radii: the coin ends at 1, the rest is background.
_EXTENT = 1.16
# Canvas width in units of relief height: a larger value gives a flatter relief.
_DEPTH = 12.0
_BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True, kw_only=True)
class CoinSet:
    """Description of a set written by `generate_coins`."""

    folder: Path
    """Folder that has one sub-folder per grade."""

    num_samples: int
    """Number of coins; each has two pictures."""

    classes: tuple[str, ...]
    """Grades, worst to best."""

    rule: str
    """Sentence that says how the label follows from the two sides."""

    best_single_view_accuracy: float
    """Upper bound on accuracy from one side alone, computed from the rule and not measured."""


def generate_coins(folder: Path, *, num_samples: int = 600, size: int = 96, seed: int = 0) -> CoinSet:
    """Description of a coin set, written as `folder/<grade>/{obverse,reverse}/coin0001.jpg` and so on.

    The same file names occur in every grade. size: side of the square pictures, in pixels.

    RecipeError when `num_samples`, `size` or `seed` is out of range. OutputError when the folder is not empty or
    cannot be written.
    """
    check_request(num_samples, num_classes=len(GRADES), size=size, seed=seed)
    claim_folder(folder)
    for index in range(num_samples):
        name = f"coin{index // len(GRADES) + 1:04d}.jpg"
        for side, picture in draw_coin(index, seed, size=size).items():
            save_picture(picture, folder / GRADES[index % len(GRADES)] / side / name)
    return CoinSet(
        folder=folder,
        num_samples=num_samples,
        classes=GRADES,
        rule=RULE,
        best_single_view_accuracy=best_single_view_accuracy(len(GRADES)),
    )


def best_single_view_accuracy(num_grades: int) -> float:
    """Accuracy of the Bayes classifier that sees one fixed side; 0.6 for 5 grades.

    It is the sum over grades g of max over labels y of P(label y, side shows g).
    """
    top = num_grades - 1
    # P(label, grade shown on the given side). The top grade shows itself on both sides.
    joint = {(top, top): Fraction(1, num_grades)}
    for y in range(top):
        # With probability 1/2 the given side shows the label, otherwise each better grade is equally likely.
        joint[y, y] = Fraction(1, 2 * num_grades)
        joint |= {(y, g): joint[y, y] / (top - y) for g in range(y + 1, num_grades)}
    return float(sum(max(p for (_, visible), p in joint.items() if visible == g) for g in range(num_grades)))


def coin_sides(index: int, seed: int) -> tuple[int, int, int]:
    """(label, obverse grade, reverse grade) of a sample, as indices into `GRADES`, computed without drawing it."""
    return _sides(sample_rng(seed, index), index)


def _sides(rng: np.random.Generator, index: int) -> tuple[int, int, int]:
    y, top = index % len(GRADES), len(GRADES) - 1
    other = int(rng.integers(y + 1, top + 1)) if y < top else top
    return (y, y, other) if rng.random() < 0.5 else (y, other, y)


def draw_coin(index: int, seed: int, *, size: int) -> dict[str, Image.Image]:
    """Side name -> RGB picture, size x size, of one sample.

    Both sides have the same metal colour. Pose, light and background are drawn independently for each side.
    """
    rng = sample_rng(seed, index)
    _, *levels = _sides(rng, index)
    silver_3, toned_3 = np.array((0.70, 0.70, 0.71)), rng.uniform((0.58, 0.42, 0.24), (0.74, 0.58, 0.46))
    metal_3 = silver_3 + rng.uniform(0, 1) * (toned_3 - silver_3)
    return {
        side: _draw_side(rng, side, _WEAR[g], metal_3=metal_3, size=size) for side, g in zip(SIDES, levels, strict=True)
    }


def _draw_side(rng: np.random.Generator, side: str, wear: float, *, metal_3: Points, size: int) -> Image.Image:
    """RGB picture of one side, size x size: the worn relief, lit, on a mottled background."""
    wear += rng.uniform(-_WEAR_JITTER, _WEAR_JITTER)
    # Rotation of the coin and direction of the light in the picture, both in radians.
    turn, azimuth = math.radians(rng.uniform(-15, 15)), rng.uniform(0, math.tau)
    height_HW = _worn(_relief(side, size * _SUPERSAMPLE), wear, roll=int(rng.integers(0, size * size)))
    light_HW = _lit(height_HW, azimuth=azimuth - turn, wear=wear) * rng.uniform(0.92, 1.08)
    light_HW, disc_HW = _placed(rng, light_HW, turn=turn, size=size)
    ground_3 = rng.uniform(0.1, 0.9) + rng.uniform(-0.1, 0.1, size=3)
    ground_HW3 = mottled(rng, ground_3, size=size)
    rgb_HW3 = ground_HW3 + disc_HW[..., None] * (light_HW[..., None] * metal_3 - ground_HW3)
    return to_picture(rgb_HW3 + rng.standard_normal(rgb_HW3.shape, dtype=np.float32) * 0.015)


@dataclass(frozen=True)
class _Relief:
    """Layers of the height field of one side, each H x W, in about 0..1 except `grain`. Wear removes them in order."""

    detail: Floats
    """Fine lines on the figure."""

    figure: Floats
    """The main design: high relief."""

    letters: Floats
    """Lettering and the beads along the rim."""

    rim: Floats
    """Raised edge of the disc."""

    grain: Floats
    """Noise of standard deviation 1: the pitted surface that wear exposes."""


def _worn(relief: _Relief, wear: float, *, roll: int) -> Floats:
    """Height field after wear, H x W.

    wear: 0 (mint state) to 1 (flat). roll: shift of the grain in pixels, so that every coin is pitted differently.
    """
    left = 1 - wear
    # The figure is clipped from the top before it is scaled, because rubbing removes the highest points first.
    height_HW = np.minimum(relief.figure, 0.10 + 0.90 * left) * (0.35 + 0.65 * left)
    height_HW = height_HW + relief.detail * (0.30 * max(0.0, 1 - 1.8 * wear))
    height_HW += relief.letters * (0.45 * min(1.0, 1.35 * left))
    height_HW += relief.rim * (0.25 + 0.35 * left)
    height_HW += np.roll(relief.grain, roll) * (0.02 * wear)
    return height_HW.astype(np.float32)


def _lit(height_HW: Floats, *, azimuth: float, wear: float) -> Floats:
    """Brightness, H x W: diffuse light plus lustre.

    azimuth: direction of the light, in radians. Lustre, with its cartwheel of two bright sectors, fades with the fourth
    power of the remaining relief, so that only almost unworn coins have it.
    """
    slope_y_HW, slope_x_HW = np.gradient(height_HW, _DEPTH / len(height_HW))
    sun_x, sun_y = math.cos(azimuth), math.sin(azimuth)
    facing_HW = slope_x_HW * sun_x + slope_y_HW * sun_y
    diffuse_HW = (0.80 + 0.60 * facing_HW) / np.sqrt(1 + slope_x_HW**2 + slope_y_HW**2)
    x_HW, y_HW = _plane(len(height_HW))
    cartwheel_HW = (x_HW * sun_x + y_HW * sun_y) ** 2 / (x_HW**2 + y_HW**2 + 0.05)
    lustre = max(0.0, 1 - wear) ** 4
    lit_HW = 0.10 + 0.85 * diffuse_HW + lustre * (0.10 + 0.55 * cartwheel_HW**2 + 0.35 * np.clip(facing_HW, 0, 1))
    return np.asarray(lit_HW, dtype=np.float32)


def _placed(rng: np.random.Generator, light_HW: Floats, *, turn: float, size: int) -> tuple[Floats, Floats]:
    """Brightness and coverage of the disc, size x size each, after a random shift and zoom and a rotation by `turn`.

    turn: in radians. The coverage is 1 on the coin, 0 on the background, and in between along the edge.
    """
    width, zoom = len(light_HW), rng.uniform(0.97, 1.12)
    x, y = (float(c) * width for c in rng.uniform(0.47, 0.53, size=2))
    a, b, middle = math.cos(turn) * zoom, math.sin(turn) * zoom, width / 2
    # PIL's affine matrix maps output pixels to input pixels, so this is the inverse of the coin's placement.
    matrix = (a, b, middle - a * x - b * y, -b, a, middle + b * x - a * y)
    canvas = Image.fromarray(light_HW).transform(light_HW.shape, Image.Transform.AFFINE, matrix, _BILINEAR)
    scale = size / width
    radius, axis = middle * scale / _EXTENT / zoom, np.arange(size, dtype=np.float32) + 0.5
    disc_HW = np.clip(radius - np.hypot(axis[None, :] - x * scale, axis[:, None] - y * scale) + 0.5, 0, 1)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX)), disc_HW


# Designs of the two sides. Coordinates are in coin radii, x to the right and y down, with the centre at (0, 0).

# Outline of the head on the obverse.
_PROFILE = (
    *((0.05, -0.60), (-0.20, -0.54), (-0.30, -0.36), (-0.31, -0.24), (-0.42, -0.06), (-0.32, -0.02), (-0.35, 0.07)),
    *((-0.30, 0.12), (-0.33, 0.24), (-0.20, 0.31), (-0.08, 0.28), (-0.08, 0.42), (-0.28, 0.60), (0.32, 0.60)),
    *((0.22, 0.34), (0.38, 0.10), (0.44, -0.18), (0.34, -0.46)),
)
# Letter -> its strokes; each is a polyline through a 3 x 3 grid of points, numbered row by row from 0 at the top left.
_STROKES = {
    letter: path.split("-")
    for letter, path in zip(
        "BCEILNORTY",
        ("60143-4586", "2068", "2068-34", "17", "068", "6082", "02860", "60253-48", "02-17", "04-247"),
        strict=True,
    )
}
_Lines = list[list[tuple[float, float]]]


@lru_cache(maxsize=4)
def _relief(side: str, width: int) -> _Relief:
    """Layers of the unworn design of a side. width: of the supersampled canvas, in pixels."""
    x_HW, y_HW = _plane(width)
    radius_HW = np.hypot(x_HW, y_HW)
    hair_HW = 0.5 + 0.5 * np.sin(50 * np.hypot(x_HW + 0.45, 0.8 * y_HW - 0.1))
    beads_HW = np.cos(48 * np.arctan2(y_HW, x_HW)).clip(0, 1) * (np.abs(radius_HW - 0.90) < 0.03)
    obverse = side == "obverse"
    polygons = [list(_PROFILE)] if obverse else [_star(0.0, -0.36, 0.2), *_wreath()]
    lines = _text("LIBERTY", 0.72) if obverse else _text("ONE", 20, y=0.06) + _text("CENT", 20, y=0.34)
    figure_HW = _ink(polygons, [], width)
    grain_HW = _blur(sample_rng(0, 0).standard_normal((width, width), dtype=np.float32), 0.02)
    return _Relief(
        detail=_blur(figure_HW * hair_HW, 0.008),
        figure=0.45 * _blur(figure_HW, 0.012) + 0.75 * _blur(figure_HW, 0.09) * figure_HW,
        letters=_blur(_ink([], lines, width) + np.asarray(beads_HW, dtype=np.float32), 0.010),
        rim=_blur(np.asarray(radius_HW > 0.94, dtype=np.float32), 0.012),
        grain=grain_HW / grain_HW.std(),
    )


@lru_cache(maxsize=4)
def _plane(width: int) -> tuple[Floats, Floats]:
    """x and y of every pixel centre in coin radii, H x W each."""
    axis = ((np.arange(width) + 0.5) / width * 2 - 1) * _EXTENT
    x_HW, y_HW = np.meshgrid(axis, axis)
    return x_HW.astype(np.float32), y_HW.astype(np.float32)


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Outline of a five-pointed star around (x, y)."""
    arms = [(k * np.pi / 5, radius * (1.0, 0.42)[k % 2]) for k in range(10)]
    return [(x + r * float(np.sin(a)), y - r * float(np.cos(a))) for a, r in arms]


def _wreath() -> _Lines:
    """Polygons of the leaves of two branches, open at the top."""
    leaves = []
    for angle in np.radians([*range(30, 175, 16), *range(-30, -175, -16)]):
        out_2, along_2 = np.array([np.sin(angle), -np.cos(angle)]), np.array([np.cos(angle), np.sin(angle)])
        reach = -np.sign(angle) * 0.13
        tips = [(0.66, -reach), (0.78, 0.0), (0.76, reach), (0.62, reach * 0.4)]
        leaves.append([(float(p[0]), float(p[1])) for p in (out_2 * r + along_2 * t for r, t in tips)])
    return leaves


def _text(text: str, bend: float, *, y: float = 0.0) -> _Lines:
    """Polylines of the letters of `text`, on a circular arc of radius `bend` in coin radii.

    bend: up to 1 follows the coin's edge, around its centre. A larger radius gives almost straight text, centred on
    height `y`.
    """
    height, pitch, middle = 0.17, 0.19, y + (bend if bend > 1 else 0.0)
    lines: _Lines = []
    for place, letter in enumerate(text):
        for stroke in _STROKES[letter]:
            grid = [(int(p) % 3 / 2 - 0.5, 0.5 - int(p) // 3 / 2) for p in stroke]
            polar = [((place - (len(text) - 1) / 2 + 0.62 * u) * pitch / bend, bend + v * height) for u, v in grid]
            lines.append([(float(r * np.sin(a)), float(middle - r * np.cos(a))) for a, r in polar])
    return lines


def _ink(polygons: _Lines, lines: _Lines, width: int) -> Floats:
    """Coverage of filled polygons and of strokes, H x W in 0..1."""
    canvas = Image.new("L", (width * 2, width * 2))
    pen = ImageDraw.Draw(canvas)
    to_pixels = width / _EXTENT
    for shape in polygons:
        pen.polygon([((x + _EXTENT) * to_pixels, (y + _EXTENT) * to_pixels) for x, y in shape], fill=255)
    for line in lines:
        points = [((x + _EXTENT) * to_pixels, (y + _EXTENT) * to_pixels) for x, y in line]
        pen.line(points, fill=255, width=max(1, round(0.045 * to_pixels)), joint="curve")
    return np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)


def _blur(layer_HW: Floats, sigma: float) -> Floats:
    """Gaussian blur, H x W. sigma: in coin radii.

    It is computed by FFT in floating point, because Pillow's blur works on 8 bits, too coarse for slopes.
    """
    sigma_pixels = sigma * len(layer_HW) / (2 * _EXTENT)
    frequency = np.fft.fftfreq(len(layer_HW))
    kernel = np.exp(-2 * (np.pi * sigma_pixels * frequency) ** 2)
    blurred_HW = np.fft.ifft2(np.fft.fft2(layer_HW) * np.outer(kernel, kernel)).real
    return blurred_HW.astype(np.float32)
