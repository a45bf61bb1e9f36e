"""The operations of TrivialAugment, RandAugment and 3-Augment, on PIL images; which one and how strongly is drawn.

    trivial   one of 14, its strength uniform (Müller & Hutter 2021, the wide space of table 1, as torchvision has it)
    rand      `num_ops` of the same 14, one after the other, at one strength (Cubuk et al. 2020, as torchvision has it)
    three     grey, solarise or blur (Touvron et al. 2022, DeiT III, section 3); its jitter, crop and mirror are the
              policy's numbers (`recipe/specs/augment.py`)

None of them mirrors: lettering stays lettering where `mirror` is 0. One thing differs from torchvision: a shear leaves
the centre where it is, there the upper left corner, so that the object stays in the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from obverse.imaging import Pixels
from obverse.recipe import ResolvedAugment

DRAWS_EACH = 3
MAX_MAGNITUDE = 30
# DeiT III's code: solarise at 128, blur with a radius of 0.1 to 2.
SOLARIZE_AT = 128
BLUR_RADIUS = (0.1, 2.0)


@dataclass(frozen=True)
class Operation:
    """One drawn operation. strength: from 0 (no change) to its maximum; negative for the opposite direction."""

    name: str
    strength: float


def draw_operations(spec: ResolvedAugment, u: Sequence[float]) -> tuple[Operation, ...]:
    """Operations from DRAWS_EACH uniform numbers for each of `spec.num_operations`."""
    drawn = []
    for which, strength, sign in (u[3 * n : 3 * n + 3] for n in range(spec.num_operations)):
        if spec.policy == "three":
            drawn.append(Operation(list(_THREE)[int(which * len(_THREE))], strength))
            continue
        name = list(_TABLE)[int(which * len(_TABLE))]
        _, wide, moderate, is_signed = _TABLE[name]
        most, share = (wide, strength) if spec.policy == "trivial" else (moderate, spec.magnitude / MAX_MAGNITUDE)
        drawn.append(Operation(name, share * most * (-1 if is_signed and sign < 0.5 else 1)))
    return tuple(drawn)


def apply_operations(pixels: Pixels, operations: Sequence[Operation], fill: int) -> Pixels:
    """The picture after all operations, in their order."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    for operation in operations:
        if operation.name in _THREE:
            image = _THREE[operation.name](image, operation.strength)
        else:
            image = _TABLE[operation.name][0](image, operation.strength, fill)
    return np.asarray(image)


def _moved(image: Image.Image, matrix: Sequence[float], fill: int) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=(fill,) * 3)


def _shear_x(image: Image.Image, v: float, fill: int) -> Image.Image:
    return _moved(image, (1, v, -v * image.height / 2, 0, 1, 0), fill)


def _shear_y(image: Image.Image, v: float, fill: int) -> Image.Image:
    return _moved(image, (1, 0, 0, v, 1, -v * image.width / 2), fill)


def _rotate(image: Image.Image, v: float, fill: int) -> Image.Image:
    return image.rotate(v, Image.Resampling.BICUBIC, fillcolor=(fill,) * 3)


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Callable[[Image.Image, float, int], Image.Image]:
    return lambda image, v, fill: kind(image).enhance(1 + v)


# Operation, its maximum in the wide space, its maximum in RandAugment, whether it has two directions. Shears are
# slopes, translations shares of the side (wide: 32 pixels of 224), rotations degrees; posterise: bits that are taken
# away.
_TABLE: dict[str, tuple[Callable[[Image.Image, float, int], Image.Image], float, float, bool]] = {
    "identity": (lambda image, v, fill: image, 0, 0, False),
    "shear-x": (_shear_x, 0.99, 0.3, True),
    "shear-y": (_shear_y, 0.99, 0.3, True),
    "translate-x": (lambda i, v, fill: _moved(i, (1, 0, v * i.width, 0, 1, 0), fill), 32 / 224, 150 / 331, True),
    "translate-y": (lambda i, v, fill: _moved(i, (1, 0, 0, 0, 1, v * i.height), fill), 32 / 224, 150 / 331, True),
    "rotate": (_rotate, 135, 30, True),
    "brightness": (_enhanced(ImageEnhance.Brightness), 0.99, 0.9, True),
    "color": (_enhanced(ImageEnhance.Color), 0.99, 0.9, True),
    "contrast": (_enhanced(ImageEnhance.Contrast), 0.99, 0.9, True),
    "sharpness": (_enhanced(ImageEnhance.Sharpness), 0.99, 0.9, True),
    "posterize": (lambda image, v, fill: ImageOps.posterize(image, 8 - round(v)), 6, 4, False),
    "solarize": (lambda image, v, fill: ImageOps.solarize(image, round(255 * (1 - v))), 1, 1, False),
    "autocontrast": (lambda image, v, fill: ImageOps.autocontrast(image), 0, 0, False),
    "equalize": (lambda image, v, fill: ImageOps.equalize(image), 0, 0, False),
}

_THREE: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "gray": lambda image, v: image.convert("L").convert("RGB"),
    "solarize-half": lambda image, v: ImageOps.solarize(image, SOLARIZE_AT),
    "blur": lambda image, v: image.filter(
        ImageFilter.GaussianBlur(BLUR_RADIUS[0] + v * (BLUR_RADIUS[1] - BLUR_RADIUS[0]))
    ),
}
