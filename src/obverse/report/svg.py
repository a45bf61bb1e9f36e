"""Line plots as SVG text, drawn without a library. Colours come from the page's style sheet, so they follow its scheme.

Series differ by colour, dash and marker: readers who do not tell colours apart, and grey prints, keep them apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from html import escape

from .blocks import Curve, Line
from .escaping import plain_text

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 68, 22, 10, 42
NUM_COLOURS = 6
"""Number of the classes `c0`, `c1` ... in style.css."""

MOST_TICKS = 6
MOST_NOTES = 20
"""Points up to which a series has its notes written beside them; beyond, they would overlap."""

LEAST_BETWEEN_NOTES = 16

Range = tuple[float, float]


def curve_svg(curve: Curve) -> str:
    """The plot as one SVG element that scales with the page."""
    scale = Scale(_x_range(curve), _y_range(curve))
    body = [*_grid(curve, scale), *_marks(curve, scale)]
    for line, colour in zip(curve.lines, colours(curve), strict=True):
        body += _series(line, scale, colour)
    head = (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_attribute(curve.alt)}" '
        f'data-curve="{_attribute(curve.name)}">'
    )
    return head + "".join(body) + "</svg>"


def colours(curve: Curve) -> list[str]:
    """Class of each series in style.css; a line to compare with takes no colour."""
    numbers = itertools.count()
    return ["guide" if line.style == "guide" else f"c{next(numbers) % NUM_COLOURS}" for line in curve.lines]


class Scale:
    """Map from values to places in the drawing."""

    def __init__(self, x_range: Range, y_range: Range) -> None:
        self.x_range, self.y_range = x_range, y_range

    def x(self, value: float) -> float:
        """The horizontal place."""
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """The vertical place, inside the frame: an interval may leave a given range."""
        low, high = self.y_range
        return TOP + (high - min(max(value, low), high)) / (high - low) * (HEIGHT - TOP - BOTTOM)


def ticks(low: float, high: float, *, is_whole: bool = False) -> list[float]:
    """Round values within a range, at most `MOST_TICKS`, in steps of 1, 2 or 5 times a power of ten."""
    raw = max((high - low) / (MOST_TICKS - 1), 1.0 if is_whole else 0.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick_text(value: float, *, is_share: bool) -> str:
    """A value at an axis."""
    return f"{100 * value:.4g} %" if is_share else f"{value:.4g}"


def _x_range(curve: Curve) -> Range:
    return curve.x_range or _padded([x for line in curve.lines for x in line.xs], share=0.0)


def _y_range(curve: Curve) -> Range:
    values = [y for line in curve.lines for part in (line.ys, line.lows, line.highs) for y in part]
    return curve.y_range or _padded(values, share=0.05)


def _padded(values: Sequence[float], *, share: float) -> Range:
    """The range of the finite values, widened by a share of it at both ends, and never empty."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    pad = share * (high - low) if high > low else 0.5 * (abs(low) or 1.0)
    return low - pad, high + pad


def _grid(curve: Curve, scale: Scale) -> Iterator[str]:
    """Grid lines with their values, and the names of the axes."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    yield '<g class="grid">'
    for value in ticks(*scale.x_range, is_whole=curve.x_whole):
        x = f"{scale.x(value):.1f}"
        yield f'<path d="M{x} {TOP}V{bottom}"/>' + _text(
            x, bottom + 16, _tick_text(value, is_share=curve.x_share), anchor="middle"
        )
    for value in ticks(*scale.y_range):
        y = scale.y(value)
        yield f'<path d="M{LEFT} {y:.1f}H{right}"/>' + _text(
            LEFT - 6, f"{y + 4:.1f}", _tick_text(value, is_share=curve.y_share), anchor="end"
        )
    yield "</g>" + _text((LEFT + right) / 2, HEIGHT - 6, curve.x, anchor="middle", kind="axis")
    middle = (TOP + bottom) / 2
    yield f'<g transform="rotate(-90 12 {middle})">{_text(12, middle, curve.y, anchor="middle", kind="axis")}</g>'


def _marks(curve: Curve, scale: Scale) -> Iterator[str]:
    """Vertical lines with their texts, on the side that has room."""
    for position, text in curve.marks:
        x = scale.x(position)
        is_left = x > (LEFT + WIDTH) / 2
        yield f'<path class="mark" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield _text(x - 5 if is_left else x + 5, TOP + 12, text, anchor="end" if is_left else "start", kind="axis")


def _series(line: Line, scale: Scale, colour: str) -> Iterator[str]:
    yield f'<g class="{colour}">'
    if line.lows and line.style == "points":
        for x, low, high in zip(line.xs, line.lows, line.highs, strict=True):
            if math.isfinite(low) and math.isfinite(high):
                yield f'<path class="bar" d="M{scale.x(x):.1f} {scale.y(low):.1f}V{scale.y(high):.1f}"/>'
    elif line.lows:
        yield from _band(line, scale)
    if line.style != "points":
        yield f'<path class="line" d="{_path(line, scale)}"/>'
    if line.style == "points" or (line.style == "line" and len(line.xs) <= MOST_NOTES):
        yield from _points(line, scale)
    yield "</g>"


def _points(line: Line, scale: Scale) -> Iterator[str]:
    notes, last = line.notes if len(line.xs) <= MOST_NOTES else (), -math.inf
    for number, (x, y) in enumerate(zip(line.xs, line.ys, strict=True)):
        if math.isfinite(y):
            yield f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="3.2"/>'
            if notes and scale.x(x) - last >= LEAST_BETWEEN_NOTES:
                last = scale.x(x)
                yield _text(f"{scale.x(x) + 6:.1f}", f"{scale.y(y) + 13:.1f}", notes[number], kind="note-text")


def _path(line: Line, scale: Scale) -> str:
    """Path data of a line; a gap starts a new part, and a step goes sideways first."""
    parts, is_open = [], False
    for x, y in zip(line.xs, line.ys, strict=True):
        if math.isfinite(y) and math.isfinite(x):
            place = f"{scale.x(x):.1f}", f"{scale.y(y):.1f}"
            step = f"H{place[0]}V{place[1]}" if line.style == "step" else f"L{place[0]} {place[1]}"
            parts.append(step if is_open else f"M{place[0]} {place[1]}")
        is_open = math.isfinite(y)
    return "".join(parts)


def _band(line: Line, scale: Scale) -> Iterator[str]:
    """The area between the interval's ends; it ends at a gap."""
    run: list[tuple[float, float, float]] = []
    for x, low, high in [*zip(line.xs, line.lows, line.highs, strict=True), (math.nan, math.nan, math.nan)]:
        if math.isfinite(low) and math.isfinite(high):
            run.append((scale.x(x), scale.y(low), scale.y(high)))
        elif run:
            there = " ".join(f"{x:.1f},{high:.1f}" for x, _, high in run)
            back = " ".join(f"{x:.1f},{low:.1f}" for x, low, _ in reversed(run))
            yield f'<polygon class="band" points="{there} {back}"/>'
            run = []


def _text(x: object, y: object, text: str, *, anchor: str = "start", kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{name}>{escape(plain_text(text), quote=False)}</text>'


def _attribute(text: str) -> str:
    return escape(plain_text(text))
