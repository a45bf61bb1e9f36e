"""Synthetic data set in class folders: one coloured shape per picture, for the quick start and learning tests.

It is no benchmark. Every class is invariant under rotation and mirroring; therefore there is no diamond beside the
square. `coins` uses the drawing and writing functions below as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from obverse.errors import OutputError, RecipeError

Floats = NDArray[np.float32]
Points = NDArray[np.float64]

SAMPLE_CLASS = "star"
"""Class of the extra picture `sample.jpg`."""
# Random stream of sample.jpg: no sample index reaches it, so that sample.jpg never repeats a picture of the set.
_SAMPLE_STREAM = 2**64 - 1
# Pixels of the drawing canvas per pixel of the mask, along each axis.
_SUPERSAMPLE = 4


@dataclass(frozen=True, kw_only=True)
class ShapeSet:
    """Description of a set written by `generate_shapes`."""

    folder: Path
    """Folder that has one sub-folder per class."""

    num_samples: int
    """Number of pictures in class folders."""

    classes: tuple[str, ...]
    """Names of the shapes, in alphabetical order."""

    rule: str
    """Sentence that says what determines the class."""

    sample: Path
    """Extra picture directly in `folder`, of class `SAMPLE_CLASS`."""


def generate_shapes(folder: Path, *, num_samples: int = 800, size: int = 64, seed: int = 0) -> ShapeSet:
    """Description of a shape set, written as `folder/<class>/0001.png` and so on, with balanced classes.

    `folder/sample.jpg` is an extra picture for a first prediction. size: side of the square pictures, in pixels.

    RecipeError when `num_samples`, `size` or `seed` is out of range. OutputError when the folder is not empty or
    cannot be written.
    """
    check_request(num_samples, num_classes=len(SHAPES), size=size, seed=seed)
    classes = tuple(SHAPES)
    claim_folder(folder)
    for index in range(num_samples):
        number, label = divmod(index, len(classes))
        picture = draw_shape(sample_rng(seed, index), classes[label], size=size)
        save_picture(picture, folder / classes[label] / f"{number + 1:04d}.png")
    sample = folder / "sample.jpg"
    save_picture(draw_shape(sample_rng(seed, _SAMPLE_STREAM), SAMPLE_CLASS, size=size), sample)
    rule = "The class is the outline; position, scale, rotation, colours and texture say nothing about it."
    return ShapeSet(folder=folder, num_samples=num_samples, classes=classes, rule=rule, sample=sample)


def draw_shape(rng: np.random.Generator, name: str, *, size: int) -> Image.Image:
    """RGB picture, size x size, of the shape `name`, which lies completely inside the frame."""
    radius = rng.uniform(0.30, 0.44)
    centre_2 = rng.uniform(radius, 1 - radius, size=2)
    mask_HW1 = _mask(SHAPES[name](), rng.uniform(0, 2 * np.pi), radius=radius, centre_2=centre_2, size=size)[..., None]
    # Every channel of the ink is brighter than the ground's, so that the shape is never camouflaged, also in grey.
    ground_3, ink_3 = rng.uniform(0.05, 0.4, size=3), rng.uniform(0.55, 0.95, size=3)
    rgb_HW3 = mottled(rng, ink_3, size=size) * mask_HW1 + mottled(rng, ground_3, size=size) * (1 - mask_HW1)
    return to_picture(rgb_HW3 + rng.standard_normal(rgb_HW3.shape, dtype=np.float32) * 0.03)


def _mask(outlines: list[Points], turn: float, *, radius: float, centre_2: Points, size: int) -> Floats:
    """Coverage by the shape, H x W in 0..1. outlines: the filled polygon, and optionally a hole in it.

    turn: rotation in radians. radius, centre_2: fractions of the picture's side.
    """
    canvas = Image.new("L", (size * _SUPERSAMPLE, size * _SUPERSAMPLE))
    spin_22 = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    for outline_N2, fill in zip(outlines, (255, 0), strict=False):
        points_N2 = (outline_N2 @ spin_22 * radius + centre_2) * canvas.width
        ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in points_N2], fill=fill)
    return np.asarray(canvas.reduce(_SUPERSAMPLE), dtype=np.float32) / np.float32(255)


# Outlines of the shapes: N points (x, y) with y down, inside the unit circle.


def _polar(radii: list[float], num_points: int) -> Points:
    """N points at equal angles around the centre, with `radii` repeated cyclically."""
    angles_N = np.arange(num_points) * 2 * np.pi / num_points
    unit_N2 = np.stack([np.sin(angles_N), -np.cos(angles_N)], axis=1)
    scaled_N2: Points = unit_N2 * np.resize(radii, num_points)[:, None]
    return scaled_N2


def _crescent() -> Points:
    """Outline of a disc minus a second disc, whose edge passes near the first one's centre."""
    outer_N, inner_N = np.linspace(0.9, 2 * np.pi - 0.9, 48), np.linspace(2 * np.pi - 1.5, 1.5, 48)
    horn_x, horn_y = np.cos(0.9), np.sin(0.9)
    bite = horn_y / np.sin(1.5)
    outer_N2 = np.stack([np.cos(outer_N), np.sin(outer_N)], axis=1)
    inner_N2 = np.stack([np.cos(inner_N), np.sin(inner_N)], axis=1) * bite + (horn_x - bite * np.cos(1.5), 0.0)
    return np.concatenate([outer_N2, inner_N2])


def _heart() -> Points:
    angles_N = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x_N = 16 * np.sin(angles_N) ** 3
    y_N = 13 * np.cos(angles_N) - 5 * np.cos(2 * angles_N) - 2 * np.cos(3 * angles_N) - np.cos(4 * angles_N)
    return np.stack([x_N, -y_N - 2.5], axis=1) / 17.5


def _cross() -> Points:
    corner, arm = 0.3, 0.95
    quarter_32 = np.array([(corner, -corner), (corner, -arm), (-corner, -arm)])
    quarter_turn_22 = np.array([[0.0, -1.0], [1.0, 0.0]])
    return np.concatenate([quarter_32 @ np.linalg.matrix_power(quarter_turn_22, k) for k in range(4)])


def _arrow() -> Points:
    return np.array([(0, -1), (0.75, -0.1), (0.27, -0.1), (0.27, 0.95), (-0.27, 0.95), (-0.27, -0.1), (-0.75, -0.1)])


def _bar() -> Points:
    return np.array([(-0.97, -0.22), (0.97, -0.22), (0.97, 0.22), (-0.97, 0.22)])


SHAPES: dict[str, Callable[[], list[Points]]] = {
    "arrow": lambda: [_arrow()],
    "bar": lambda: [_bar()],
    "circle": lambda: [_polar([0.9], 64)],
    "crescent": lambda: [_crescent()],
    "cross": lambda: [_cross()],
    "heart": lambda: [_heart()],
    "ring": lambda: [_polar([0.95], 64), _polar([0.52], 64)],
    "square": lambda: [_polar([1.0], 4)],
    "star": lambda: [_polar([1.0, 0.42], 10)],
    "triangle": lambda: [_polar([1.0], 3)],
}


# Functions shared with `coins`.


def sample_rng(seed: int, index: int) -> np.random.Generator:
    """Random generator of one sample, independent of all others: picture i is the same whatever `num_samples` is."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))


def mottled(rng: np.random.Generator, colour_3: Points, *, size: int) -> Floats:
    """Surface H x W x 3 in 0..1: random blotches around one colour, 3 to 8 of them along each side."""
    grain = int(rng.integers(3, 9))
    blotches = to_picture(colour_3 + rng.normal(0, 0.06, size=(grain, grain, 3)))
    return np.asarray(blotches.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) / np.float32(255)


def to_picture(rgb_HW3: NDArray[np.floating]) -> Image.Image:
    """8-bit picture of values in 0..1, which are clipped. Three channels give RGB, four give RGBA."""
    return Image.fromarray((np.clip(rgb_HW3, 0, 1) * 255 + 0.5).astype(np.uint8))


def check_request(num_samples: int, *, num_classes: int, size: int, seed: int) -> None:
    """RecipeError when `num_samples`, `size` (pixels) or `seed` is out of range."""
    if num_samples < num_classes:
        raise RecipeError(f"num_samples is {num_samples}: {num_classes} classes need at least {num_classes} samples.")
    if size < 16:
        raise RecipeError(f"size is {size} pixels: below 16 the classes can no longer be told apart.")
    if not 0 <= seed < 2**64:
        raise RecipeError(f"seed is {seed}: it must be a whole number from 0 to 2**64 - 1.")


def claim_folder(folder: Path) -> None:
    """Create the folder, or accept an empty one. OutputError otherwise: generated pictures never mix with a user's."""
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file: name a new or an empty folder for the generated pictures.")
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty: name a new or an empty folder for the generated pictures.")
    except OSError as error:
        raise _unwritable(folder, error) from error


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write the picture as PNG for the suffix `.png`, else as JPEG at quality 92, and create its folder.

    OutputError when the file exists or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            picture.save(file, "PNG" if path.suffix == ".png" else "JPEG", quality=92)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written ({error.strerror or error}): name a folder that you may write to.")
