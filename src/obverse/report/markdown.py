"""A page as GitHub-flavoured Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from obverse.staging import final_place

from .blocks import Block, Figure, Gallery, Page, Table, Text
from .escaping import markdown_text


def to_markdown(page: Page, folder: Path) -> str:
    """The page as Markdown. folder: where the file will be written; links to figures are relative to it."""
    lines = [f"# {markdown_text(page.title)}", "", *_lines(page.blocks, folder)]
    for section in page.sections:
        severity = f"{section.severity}: " if section.severity else ""
        lines += [f"## {severity}{markdown_text(section.title)}", "", *_lines(section.blocks, folder)]
    return "\n".join(lines)


def _lines(blocks: Iterable[Block], folder: Path) -> Iterator[str]:
    """Each block's lines, with an empty one after it."""
    for block in blocks:
        match block:
            case Text():
                yield markdown_text(block.text)
            case Figure():
                yield f"![{block.name}]({_link(block.path, folder)})"
            case Gallery():  # captions only, because a thumbnail is not a file that can be linked
                yield from (f"- {markdown_text(picture.caption)}" for picture in block.pictures)
            case Table(rows=()):
                continue
            case Table():
                yield from map(_table_line, (map(markdown_text, block.header), ("---" for _ in block.header)))
                yield from (_table_line(map(markdown_text, row)) for row in block.rows)
        yield ""


def _table_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _link(path: Path, folder: Path) -> str:
    """A link relative to the folder, so that a run folder can be moved as a whole."""
    # A staged folder is moved to its final place with its files. Links to files outside it start from that place.
    home = folder if path.is_relative_to(folder) else final_place(folder)
    return quote(os.fsencode(Path(os.path.relpath(path, home)).as_posix()))
