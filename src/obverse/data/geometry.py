"""Deterministic resize, pad and crop to (height, width): the one geometry of training, evaluation, export and serving.

The picture is fitted into `height x width`; the canvas is that size rounded to the model's multiple, and the difference
is padded (or cropped) around the centre, here and never inside a model, which would drop pixels silently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse.imaging import Pixels

from .resample import resized

# Part of every cache key: raise it whenever a fitted pixel may change.
GEOMETRY_VERSION = 2
FILL = 128
# A JPEG is decoded at least this many times larger than needed: 52.7 dB against a full decode.
DECODE_MARGIN = 2
# Largest denominator of a crop fraction: graphs compute sizes in integers of 32 bits.
MOST_PARTS = 1000


@dataclass(frozen=True)
class Geometry:
    """Target size, canvas size and fitting rule; sizes in pixels.

    fit: pad keeps everything, squash ignores the aspect ratio, crop fills the target and cuts the rest.

    crop_fraction: share of the sides that `crop` keeps; 224/256 is the usual "resize 256, centre crop 224".
    decode: scaled may read a JPEG at 1/2, 1/4 ... while that stays DECODE_MARGIN times larger than needed; full never.
    """

    height: int
    width: int
    canvas_height: int
    canvas_width: int
    fit: str = "pad"
    fill: int = FILL
    decode: str = "scaled"
    crop_fraction: float = 1.0

    @classmethod
    def for_multiple(cls, height: int, width: int, *, multiple: int, fit: str, direction: str = "up") -> Geometry:
        """The geometry whose canvas is a multiple of `multiple`, rounded up (padding) or down (cropping)."""

        def rounded(side: int) -> int:
            return max(multiple, (-(-side // multiple) if direction == "up" else side // multiple) * multiple)

        return cls(height, width, rounded(height), rounded(width), fit)

    def enlarged(self, margin: float) -> Geometry:
        """The same framing at `margin` times the size: the working size from which training crops are cut."""
        height, width = round(self.height * margin), round(self.width * margin)
        canvas_height, canvas_width = round(self.canvas_height * margin), round(self.canvas_width * margin)
        return replace(self, height=height, width=width, canvas_height=canvas_height, canvas_width=canvas_width)

    @property
    def least_decode(self) -> tuple[int, int]:
        """(min_height, min_width) for the decoder; (0, 0): full size."""
        if self.decode == "full":
            return 0, 0
        margin = DECODE_MARGIN / self.crop_fraction
        return round(margin * self.height), round(margin * self.width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (height, width, channels) of a fitted picture."""
        return self.canvas_height, self.canvas_width, 3

    def apply(self, pixels: Pixels) -> torch.Tensor:
        """The fitted picture as a tensor: uint8 (height, width, 3) to uint8 (3, canvas_height, canvas_width)."""
        return torch.from_numpy(np.ascontiguousarray(self.fitted(pixels).transpose(2, 0, 1)))

    def fitted(self, pixels: Pixels) -> Pixels:
        """The fitted picture: uint8 (height, width, 3) to uint8 (canvas_height, canvas_width, 3)."""
        height, width = self.resized_size(*pixels.shape[:2])
        pixels = resized(pixels, height, width)
        if pixels.shape == self.shape:
            return pixels
        canvas = np.full(self.shape, self.fill, np.uint8)
        (rows, columns), target = self.placement(height, width)
        canvas[target] = pixels[rows, columns]
        return canvas

    def placement(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Region of a resized picture of height x width that is kept, and where it lies on the canvas: rows, columns.

        Both are centred. `crop` cuts to the target first, then fits that to the canvas.
        """
        rows = _placed(height, self.height if self.fit == "crop" else height, self.canvas_height)
        columns = _placed(width, self.width if self.fit == "crop" else width, self.canvas_width)
        return (rows[0], columns[0]), (rows[1], columns[1])

    def on_picture(self, values_HW: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
        """Values of the canvas moved back to where they belong on the resized picture: the inverse of `fitted`.

        height, width: size of the picture before it was fitted. Returns an array of the resized picture's size, which
        covers the whole picture; it is 0 where the picture was cut away.
        """
        resized_HW = np.zeros(self.resized_size(height, width), values_HW.dtype)
        kept, target = self.placement(*resized_HW.shape)
        resized_HW[kept] = values_HW[target]
        return resized_HW

    def resized_size(
        self, height: Any, width: Any, *, least: Callable[[Any, Any], Any] = min, most: Callable[[Any, Any], Any] = max
    ) -> tuple[Any, Any]:
        """The size (height, width) that a picture of height x width is resized to, before padding and cropping.

        Both are integers, or stand for integers in an exported graph; least and most are their minimum and maximum.
        Sizes are exact: floats would round differently in programs that compute in single precision.
        """
        if self.fit == "squash":
            return self.height, self.width
        choose = least if self.fit == "pad" else most
        kept = Fraction(self.crop_fraction).limit_denominator(MOST_PARTS)
        rows, columns = self.height / kept, self.width / kept
        # One side decides; rounding is monotonic, so that the extreme of rounded sizes is the rounded extreme.
        by_width = rounded_ratio(height * columns.numerator, width * columns.denominator)
        by_height = rounded_ratio(width * rows.numerator, height * rows.denominator)
        return most(choose(by_width, round(rows)), 1), most(choose(by_height, round(columns)), 1)


def rounded_ratio(numerator: Any, divisor: Any) -> Any:
    """The quotient of two positive integers rounded to an integer, halves to the even one, as `round` does."""
    return (numerator * 2 + divisor - 1 + numerator // divisor % 2) // (divisor * 2)


def _placed(length: int, target: int, canvas: int) -> tuple[slice, slice]:
    """Slices of the source and of the canvas along one axis, for a source that is first cut to `target`."""
    kept, _ = _centred(length, target)
    of_kept, on_canvas = _centred(kept.stop - kept.start, canvas)
    return slice(kept.start + of_kept.start, kept.start + of_kept.stop), on_canvas


def _centred(length: int, target: int) -> tuple[slice, slice]:
    """Slices of the source and of the target along one axis, both centred: a crop or a padding."""
    kept = min(length, target)
    start, target_start = (length - kept) // 2, (target - kept) // 2
    return slice(start, start + kept), slice(target_start, target_start + kept)
