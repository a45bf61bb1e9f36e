"""ONNX operators of the geometry: resizing as two matrix products, then the centred crop and padding.

The products give the very pixels of torch's antialiased uint8 kernel. The operator `Resize` does not: runtimes differ
in it by up to 19 levels. Only this file imports onnx and onnxscript.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto
from onnxscript import opset20

from obverse.data import Geometry

# Its types are those of concrete tensors, and here every value is a name in a graph.
op: Any = opset20
# Bands of the width pass. Weights far from the diagonal are zero, so that each band needs a part of the picture only.
BANDS = 4
# Quantisation of torch's weights: the largest is below 2 ** 15, with at most 22 bits after the point
# (aten/src/ATen/native/cpu/UpSampleKernel.cpp, `compute_index_ranges_int16_weights`).
LARGEST_WEIGHT, MOST_BITS = 32767.5, 22.0
INT32, FLOAT, UINT8 = TensorProto.INT32, TensorProto.FLOAT, TensorProto.UINT8


@dataclass(frozen=True)
class Whole:
    """An integer of the graph, int64 of shape (1,), with Python's operators."""

    value: Any

    @classmethod
    def of(cls, number: Whole | int) -> Whole:
        """The number itself, or a constant."""
        return number if isinstance(number, Whole) else cls(op.Constant(value_ints=[number]))

    def __add__(self, other: Whole | int) -> Whole:
        return Whole(op.Add(self.value, Whole.of(other).value))

    def __sub__(self, other: Whole | int) -> Whole:
        return Whole(op.Sub(self.value, Whole.of(other).value))

    def __rsub__(self, other: int) -> Whole:
        return Whole.of(other) - self

    def __mul__(self, other: Whole | int) -> Whole:
        return Whole(op.Mul(self.value, Whole.of(other).value))

    def __floordiv__(self, other: Whole | int) -> Whole:
        return Whole(op.Div(self.value, Whole.of(other).value))  # of integers that are not negative

    def __mod__(self, other: Whole | int) -> Whole:
        return Whole(op.Mod(self.value, Whole.of(other).value))


def least(one: Whole | int, other: Whole | int) -> Whole:
    """The smaller of two integers."""
    return Whole(op.Min(Whole.of(one).value, Whole.of(other).value))


def most(one: Whole | int, other: Whole | int) -> Whole:
    """The larger of two integers."""
    return Whole(op.Max(Whole.of(one).value, Whole.of(other).value))


def fitted_pixels(pixels_NHW3: Any, geometry: Geometry) -> Any:
    """Pictures uint8 (N, H, W, 3) of any size, fitted: uint8 (N, 3, canvas_height, canvas_width)."""
    source = Whole(op.Shape(pixels_NHW3, start=1, end=2)), Whole(op.Shape(pixels_NHW3, start=2, end=3))
    size = tuple(map(Whole.of, geometry.resized_size(*source, least=least, most=most)))
    # Transposed as bytes, which is four times less to move.
    levels = op.Cast(op.Transpose(pixels_NHW3, perm=[0, 3, 1, 2]), to=FLOAT)
    for axis in (3, 2):  # torch's kernel resizes along the width first
        levels = _resized(levels, axis, source[axis - 2], size[axis - 2])
    target = (geometry.height, geometry.width) if geometry.fit == "crop" else ()
    for axis in (2, 3):
        length = size[axis - 2]
        for end in (*target[axis - 2 : axis - 1], geometry.shape[axis - 2]):
            levels, length = _centred(levels, axis, length, end, geometry.fill)
    return op.Cast(levels, to=UINT8)


def _resized(levels: Any, axis: int, source: Whole, size: Whole) -> Any:
    """Levels (N, 3, H, W) resized along one axis, rounded to whole levels as the kernel does after each pass.

    The kernel sums in int32. Here the weights' upper and lower bytes are summed apart, so that every sum is a whole
    number below 2 ** 24, which float32 holds exactly.
    """
    weights, bits = _weights(source, size)
    upper = op.Floor(op.Div(weights, _number(256.0)))
    lower = op.Sub(weights, op.Mul(upper, _number(256.0)))
    sums = [op.MatMul(part, levels) if axis == 2 else _banded(levels, part, source, size) for part in (upper, lower)]
    one = op.Pow(_number(2.0), bits)
    large, small = op.Div(sums[0], op.Div(one, _number(256.0))), op.Div(sums[1], one)
    whole = op.Floor(large)
    rest = op.Floor(op.Add(op.Add(op.Sub(large, whole), small), _number(0.5)))
    return op.Clip(op.Add(whole, rest), _number(0.0), _number(255.0))


def _banded(levels: Any, weights: Any, source: Whole, size: Whole) -> Any:
    """The product along the width, in bands of target columns, each with the source columns that it needs."""
    reach = (source + size) // size + 1  # source pixels on each side, rounded up
    zero, parts = Whole.of(0), []
    for band in range(BANDS):
        first, last = size * band // BANDS, size * (band + 1) // BANDS
        start, end = most(first * source // size - reach, zero), least(last * source // size + reach + 1, source)
        piece = op.Slice(levels, start.value, end.value, Whole.of(3).value)
        rows = op.Slice(weights, first.value, last.value, Whole.of(0).value)
        share = op.Slice(rows, start.value, end.value, Whole.of(1).value)
        parts.append(op.MatMul(piece, op.Transpose(share, perm=[1, 0])))
    return op.Concat(*parts, axis=3)


def _weights(source: Whole, size: Whole) -> tuple[Any, Any]:
    """float32 (size, source) of whole numbers, and their bits after the point: torch's antialiased linear filter.

    Quantised exactly as torch does, without double precision, which OpenVINO replaces by single precision.
    """
    shape = op.Constant(value_ints=[-1])
    length, target = (op.Cast(op.Squeeze(whole.value), to=INT32) for whole in (source, size))
    zero, one, two = (op.Cast(op.Constant(value_int=number), to=INT32) for number in (0, 1, 2))
    rows, columns = op.Range(zero, target, one), op.Range(zero, length, one)
    centre = op.Mul(op.Add(op.Mul(rows, two), one), length)
    place = op.Mul(op.Add(op.Mul(columns, two), one), target)
    far = op.Abs(op.Sub(op.Unsqueeze(place, Whole.of(0).value), op.Unsqueeze(centre, Whole.of(1).value)))
    height = op.Cast(op.Max(op.Sub(op.Mul(two, op.Max(length, target)), far), zero), to=FLOAT)
    total = op.ReduceSum(height, Whole.of(1).value, keepdims=1)
    share = op.Div(height, total)
    largest = op.ReduceMax(op.Reshape(share, shape), Whole.of(0).value, keepdims=1)
    # The largest number of bits with 0.5 + largest * 2 ** (bits + 1) < 2 ** 15.
    bits = op.Div(op.Log(op.Div(_number(LARGEST_WEIGHT), largest)), _number(math.log(2.0)))
    bits = op.Min(op.Sub(op.Ceil(bits), _number(1.0)), _number(MOST_BITS))
    twice = op.Pow(_number(2.0), op.Add(bits, _number(1.0)))
    halves = _quotient(op.Mul(height, twice), total, op.Floor(op.Mul(share, twice)))
    return op.Floor(op.Div(op.Add(halves, _number(1.0)), _number(2.0))), bits


def _quotient(dividend: Any, divisor: Any, guess: Any) -> Any:
    """dividend // divisor exactly, from a guess below 2 ** 16 that is wrong by at most one; all are whole numbers.

    The product of guess and divisor would need more digits than float32 has. It is subtracted byte by byte of the
    divisor, from the upper one, so that every difference is exact. divisor: below 2 ** 24.
    """
    rest, left = dividend, divisor
    for place in (65536.0, 256.0, 1.0):
        byte = op.Floor(op.Div(left, _number(place)))
        left = op.Sub(left, op.Mul(byte, _number(place)))
        rest = op.Sub(rest, op.Mul(op.Mul(guess, byte), _number(place)))
    below = op.Cast(op.Less(rest, _number(0.0)), to=FLOAT)
    above = op.Cast(op.GreaterOrEqual(rest, divisor), to=FLOAT)
    return op.Add(op.Sub(guess, below), above)


def _centred(levels: Any, axis: int, length: Whole, target: int, fill: int) -> tuple[Any, Whole]:
    """Levels cropped or padded around the centre along one axis to `target`, and that length."""
    kept = least(length, target)
    start, before = (length - kept) // 2, (target - kept) // 2
    levels = op.Slice(levels, start.value, (start + kept).value, Whole.of(axis).value)
    pads = [Whole.of(0).value] * 8
    pads[axis], pads[axis + 4] = before.value, (target - kept - before).value
    return op.Pad(levels, op.Concat(*pads, axis=0), op.Constant(value_float=float(fill))), Whole.of(target)


def _number(value: float) -> Any:
    return op.Constant(value_floats=[value])
