"""Augmentation of a single picture, a function of (seed, epoch, sample id, view) alone.

Pixels are resampled once, on uint8 (`resample.py`): shifted by whole pixels, or cropped and resized, or rotated,
whichever loses least. Resampling is bicubic: bilinear sampling blurs, and a model trained on blurred pictures fails on
sharp ones (on generated coins it cost 30 points of accuracy). Brightness, contrast and saturation are three factors,
applied to the whole batch on the training device (`preprocess.py`). Policies such as TrivialAugment draw further
operations (`operations.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from obverse.data.resample import Affine, Box, corner_color, moved, resized, turned
from obverse.imaging import Pixels
from obverse.recipe import ResolvedAugment

from .operations import DRAWS_EACH, Operation, apply_operations, draw_operations

# Uniform numbers for one change, besides those of the policy's operations.
NUM_DRAWS = 17


@dataclass(frozen=True)
class Change:
    """Drawn parameters of one augmentation.

    box: (top, left, bottom, right) of the working picture that is resized to the output; None when the picture is only
    shifted by `shift` (rows, columns). affine: output pixel -> working pixel, where a rotation needs more than a box.
    fills_from_corners: what `affine` uncovers gets the colour of the picture's corners, so that a plain background does
    not show the angle. mirrored: left and right are swapped, as the last step. color: brightness, contrast, saturation
    factors. erased: a box of output pixels, or None. operations: those that the policy drew.
    """

    box: Box | None
    affine: Affine | None
    mirrored: bool
    shift: tuple[int, int]
    color: tuple[float, float, float]
    erased: Box | None
    operations: tuple[Operation, ...] = ()
    fills_from_corners: bool = False


def num_draws(spec: ResolvedAugment) -> int:
    """Number of uniform numbers that `draw_change` needs."""
    return NUM_DRAWS + DRAWS_EACH * spec.num_operations


def draw_change(spec: ResolvedAugment, working: tuple[int, int], output: tuple[int, int], u: Sequence[float]) -> Change:
    """A change from `num_draws` uniform numbers. working, output: (height, width)."""
    shift = (_whole_shift(spec.shift, working[0], u[3]), _whole_shift(spec.shift, working[1], u[5]))
    box = _draw_crop(spec, working, u) if spec.min_scale != 1 or working != output else None
    affine = None
    if spec.rotation_degrees or (box and any(shift)):
        angle = math.radians(spec.rotation_degrees * (2 * u[12] - 1))
        affine = _affine(box or (0, 0, *working), output, shift, angle)
    jitter = spec.jitter
    brightness, contrast, saturation = (1 + jitter * (2 * x - 1) for x in u[7:10]) if jitter else (1.0, 1.0, 1.0)
    if u[10] < spec.gray:
        saturation = 0.0
    erased = _draw_box(output, u[13:17]) if u[11] < spec.erasing else None
    operations = draw_operations(spec, u[NUM_DRAWS:])
    mirrored, color = u[6] < spec.mirror, (brightness, contrast, saturation)
    return Change(box, affine, mirrored, shift, color, erased, operations, spec.fills_from_corners)


def apply_change(pixels: Pixels, change: Change, out_CHW: Pixels, fill: int) -> None:
    """Write the changed working picture (height, width, 3) into `out_CHW`; colour comes later, per batch."""
    height, width = out_CHW.shape[1:]
    if change.affine is not None:
        uncovered = corner_color(pixels) if change.fills_from_corners else fill
        pixels = turned(pixels, change.affine, height, width, uncovered)
    elif change.box is not None:
        top, left, bottom, right = change.box
        pixels = resized(pixels[top:bottom, left:right], height, width, mode="bicubic")
    else:
        pixels = moved(pixels, change.shift)
    if change.operations:
        pixels = apply_operations(pixels, change.operations, fill)
    out_CHW[...] = (pixels[:, ::-1] if change.mirrored else pixels).transpose(2, 0, 1)
    if change.erased is not None:
        top, left, bottom, right = change.erased
        out_CHW[:, top:bottom, left:right] = fill


def _draw_crop(spec: ResolvedAugment, working: tuple[int, int], u: Sequence[float]) -> Box:
    """A box of whole pixels inside the working picture (random resized crop, Szegedy et al. 2015)."""
    scale = 1 - (1 - spec.min_scale) * u[0]
    # Never beyond the picture, so that the box has its share of the area.
    most = 1 / math.sqrt(scale)
    stretch = min(most, max(1 / most, spec.max_stretch ** (u[1] - 0.5)))
    height = max(1, round(math.sqrt(scale) / stretch * working[0]))
    width = max(1, round(math.sqrt(scale) * stretch * working[1]))
    top, left = int(u[2] * (working[0] - height + 1)), int(u[4] * (working[1] - width + 1))
    return top, left, top + height, left + width


def _affine(box: Box, output: tuple[int, int], shift: tuple[int, int], angle: float) -> Affine:
    """The crop of `box`, moved by `shift` and turned around its centre."""
    top, left, bottom, right = box
    center_y, center_x = (top + bottom) / 2 + shift[0], (left + right) / 2 + shift[1]
    out_h, out_w = output
    step_y, step_x = (bottom - top) / out_h, (right - left) / out_w
    cos, sin = math.cos(angle), math.sin(angle)
    a, b = cos * step_x, sin * step_y
    d, e = -sin * step_x, cos * step_y
    return (a, b, center_x - a * out_w / 2 - b * out_h / 2, d, e, center_y - d * out_w / 2 - e * out_h / 2)


def _whole_shift(share: float, side: int, u: float) -> int:
    """A shift by whole pixels, which does not blur small pictures."""
    largest = int(share * side)
    return int(u * (2 * largest + 1)) - largest


def _draw_box(output: tuple[int, int], u: Sequence[float]) -> Box:
    """A rectangle of 2 to 33 % of the area and aspect 0.3 to 3.3 (Zhong et al. 2017, table 1), from four uniforms."""
    height, width = output
    area = (0.02 + 0.31 * u[0]) * height * width
    aspect = math.exp((2 * u[1] - 1) * math.log(3.3))
    box_h = min(height, max(1, round(math.sqrt(area * aspect))))
    box_w = min(width, max(1, round(math.sqrt(area / aspect))))
    top, left = int(u[2] * (height - box_h + 1)), int(u[3] * (width - box_w + 1))
    return top, left, top + box_h, left + box_w
