"""A page as GitHub-flavoured Markdown."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from obverse.staging import final_place

from .blocks import Block, Card, Cards, Curve, Figure, Gallery, Item, Line, Page, Panel, Table, Text
from .escaping import markdown_prose, markdown_text

MOST_POINTS = 8
"""Points of a series in the table that stands for a plot without a file."""


def to_markdown(page: Page, folder: Path) -> str:
    """The page as Markdown. folder: where the file will be written; links to figures are relative to it."""
    lines = [f"# {markdown_text(page.title)}", "", *_lines(page.blocks, folder)]
    for section in page.sections:
        if section.needs_script:
            continue
        severity = f"{section.severity}: " if section.severity else ""
        lines += [f"## {severity}{markdown_text(section.title)}", "", *_lines(section.blocks, folder)]
    return "\n".join(lines)


def _lines(blocks: Iterable[Block], folder: Path) -> Iterator[str]:
    """Each block's lines, with an empty one after it."""
    last: Path | None = None
    for block in blocks:
        match block:
            case Text():
                yield markdown_prose(block.text)
            case Figure():
                yield f"![{block.name}]({_link(block.path, folder)})"
            case Gallery():  # words only, because a thumbnail is not a file that can be linked
                yield from (f"- {markdown_text(item_text(item))}" for item in block.items[: block.most])
                if len(block.items) > block.most:
                    yield f"- and {len(block.items) - block.most} more"
            case Cards():
                yield from (_card_line(card) for card in block.cards)
            case Curve():
                if block.path is not None and block.path == last:  # several plots in one file
                    continue
                last = block.path
                yield from _curve_lines(block, folder)
            case Panel():
                yield from _lines(block.instead, folder)
                continue
            case Table(rows=()):
                continue
            case Table():
                yield from map(_table_line, (map(markdown_text, block.header), ("---" for _ in block.header)))
                yield from (_table_line(map(markdown_prose, row)) for row in block.rows)
        yield ""


def item_text(item: Item) -> str:
    """What is known about an item of a gallery, in one line."""
    confidence = "" if item.confidence is None else f" at {100 * item.confidence:.1f} %"
    answer = f"answer {item.answer}{confidence}" if item.answer else ""
    parts = [item.caption, f"label {item.label}" if item.label else "", answer, *item.tags, item.note]
    return "; ".join(part for part in parts if part)


def _card_line(card: Card) -> str:
    interval = f" ({markdown_text(card.interval)})" if card.interval else ""
    sentence = f": {markdown_text(card.sentence)}" if card.sentence else ""
    return f"- **{markdown_text(card.label)} {markdown_text(card.value)}**{interval}{sentence}"


def _curve_lines(curve: Curve, folder: Path) -> Iterator[str]:
    """A link to the plot's file; without one, a table of some of its points."""
    if curve.path is not None:
        yield f"![{curve.name}]({_link(curve.path, folder)})"
        return
    header = (curve.x, "series", curve.y)
    yield from map(_table_line, (map(markdown_text, header), ("---" for _ in header)))
    for line in curve.lines:
        for x, y in _some_points(line):
            cells = (_value_text(x, is_share=curve.x_share), line.label, _value_text(y, is_share=curve.y_share))
            yield _table_line(map(markdown_text, cells))


def _value_text(value: float, *, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def _some_points(line: Line) -> Iterator[tuple[float, float]]:
    """At most `MOST_POINTS` of the points, evenly spread, the last among them; none of a line to compare with."""
    num = len(line.xs)
    if line.style != "guide" and num:
        places = sorted({round(k * (num - 1) / (MOST_POINTS - 1)) for k in range(MOST_POINTS)})
        yield from ((line.xs[place], line.ys[place]) for place in places if math.isfinite(line.ys[place]))


def _table_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _link(path: Path, folder: Path) -> str:
    """A link relative to the folder, so that a run folder can be moved as a whole."""
    # A staged folder is moved to its final place with its files. Links to files outside it start from that place.
    home = folder if path.is_relative_to(folder) else final_place(folder)
    return quote(os.fsencode(Path(os.path.relpath(path, home)).as_posix()))
