"""Content of a page, without its looks: paragraphs, tables, figures and galleries under headings.

Texts are raw. Names of classes, samples and files may hold anything; the renderers escape them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

Row = tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"

    text: str
    is_quiet: bool = False
    """Whether the paragraph is a side remark, shown less prominently."""


@dataclass(frozen=True)
class Table:
    """A header and rows of as many cells. The first cell of a row names the row."""

    kind: ClassVar = "table"

    header: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Figure:
    """A plot, as wide as the page."""

    kind: ClassVar = "figure"

    path: Path
    name: str
    """One word; Markdown shows it where the picture is missing."""
    alt: str
    """What the figure shows, for readers who cannot see it."""


@dataclass(frozen=True)
class Picture:
    """A small picture of a gallery: a caption and an encoded JPEG or PNG, empty where there is none."""

    caption: str
    encoded: bytes = b""


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side."""

    kind: ClassVar = "gallery"

    pictures: tuple[Picture, ...]


Block = Text | Table | Figure | Gallery


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it."""

    title: str
    blocks: tuple[Block, ...] = ()
    severity: str = ""
    """`error`, `warning` or `note`, where the section is about one; shown before the title."""

    @property
    def is_empty(self) -> bool:
        """Whether the section has nothing but paragraphs and tables without rows."""
        return not any(block.rows if isinstance(block, Table) else not isinstance(block, Text) for block in self.blocks)


@dataclass(frozen=True)
class Page:
    """A title, blocks that stand before the first heading, and sections."""

    title: str
    sections: tuple[Section, ...] = ()
    blocks: tuple[Block, ...] = ()
    made_by: str = "obverse"
    """Name of the program, in the head of an HTML page; by it a later run knows the file as its own."""
