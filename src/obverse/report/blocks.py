"""Content of a page, without its looks: paragraphs, tables, figures, galleries and plots under headings.

Texts are raw. Names of classes, samples and files may hold anything; the renderers escape them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from .linked import Linked

Row = tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"

    text: str
    is_quiet: bool = False
    """Whether the paragraph is a side remark, shown less prominently."""

    is_lead: bool = False
    """Whether the paragraph says what the page is about, shown most prominently."""


@dataclass(frozen=True)
class Table:
    """A header and rows of as many cells. The first cell of a row names the row."""

    kind: ClassVar = "table"

    header: Row
    rows: tuple[Row, ...]

    name: str = ""
    """Name by which the page's script finds the table; empty: it does not look for it."""


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
class Card:
    """One headline figure."""

    label: str
    """What the figure is, in a few words."""

    value: str

    interval: str = ""
    """The interval, or why there is none."""

    sentence: str = ""
    """A plain sentence for a reader who does not know the metric."""


@dataclass(frozen=True)
class Cards:
    """Headline figures side by side."""

    kind: ClassVar = "cards"

    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Picture:
    """An encoded JPEG, PNG or WebP; empty where there is none. `obverse.report` pages expect sides of 96 pixels."""

    encoded: bytes = b""

    name: str = ""
    """The view or map that the picture shows; empty where there is only one."""


@dataclass(frozen=True)
class Item:
    """An entry of a gallery: the pictures of one sample, and what is known about it."""

    caption: str

    pictures: tuple[Picture, ...] = ()
    """The sample's views and maps, shown side by side."""

    label: str = ""
    """The true label; empty where it does not matter or is unknown."""

    answer: str = ""

    confidence: float | None = None
    """Probability of the answer."""

    tags: tuple[str, ...] = ()
    """Short marks, such as the decision or a slice."""

    row: int | None = None
    """Row of the sample in the page's `Linked` predictions, so that it follows the filter; None: it does not."""

    note: str = ""
    """A sentence about the sample, such as a reason or an error."""

    group: str = ""
    """Value by which readers filter a gallery that has a `filter`."""

    is_faulty: bool = False
    """Whether the note is an error."""

    @property
    def is_wrong(self) -> bool:
        """Whether the answer differs from the true label; False where one of them is missing."""
        return bool(self.label and self.answer and self.label != self.answer)


MOST_ITEMS = 60
"""Items of a gallery that pages show unless it says another number."""


@dataclass(frozen=True)
class Gallery:
    """Samples with their pictures side by side."""

    kind: ClassVar = "gallery"

    items: tuple[Item, ...]

    most: int = MOST_ITEMS
    """Items that a page shows; of the rest it gives the number."""

    is_large: bool = False
    """Whether pictures are shown with sides of 160 pixels instead of 96."""

    has_names: bool = False
    """Whether the name of each picture stands below it."""

    filter: str = ""
    """What the groups of the items are, such as `decision`, for a choice among them; empty: no choice."""


@dataclass(frozen=True)
class Line:
    """One series of a `Curve`. A NaN is a gap."""

    label: str
    """Its name in the legend; empty: not in the legend."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]

    lows: tuple[float, ...] = ()
    """Lower ends of intervals, one per point: a band, or bars for points. Empty: no intervals."""

    highs: tuple[float, ...] = ()

    style: Literal["line", "step", "points", "guide"] = "line"
    """`guide`: a thin dashed line to compare with, such as the diagonal."""

    notes: tuple[str, ...] = ()
    """A short text beside each point, such as a count. Empty: none."""


@dataclass(frozen=True)
class Curve:
    """A line plot that the page draws as SVG. Plots that follow one another stand side by side where there is room."""

    kind: ClassVar = "curve"

    name: str
    """One word; with it scripts and links refer to the plot."""

    alt: str
    """What the plot shows, for readers who cannot see it."""

    x: str
    """Label of the horizontal axis."""

    y: str
    """Label of the vertical axis."""

    lines: tuple[Line, ...]

    x_range: tuple[float, float] | None = None
    """None: from the points."""

    y_range: tuple[float, float] | None = None
    """None: from the points and intervals."""

    x_whole: bool = False
    """Whether only whole x values have a meaning, such as epochs."""

    x_share: bool = False
    """Whether x values are shares, shown in per cent."""

    y_share: bool = False
    """Whether y values are shares, shown in per cent."""

    marks: tuple[tuple[float, str], ...] = ()
    """Vertical lines: position and text."""

    path: Path | None = None
    """The same plot as a file, to which Markdown links. None: Markdown has a table of some points."""


PanelName = Literal["answers", "confusion", "map", "threshold"]


@dataclass(frozen=True)
class Panel:
    """A part of the page that its script fills from the `Linked` predictions."""

    kind: ClassVar = "panel"

    name: PanelName

    instead: tuple[Text | Table | Figure | Gallery, ...] = ()
    """What the page shows where no script runs, and Markdown always."""


Block = Text | Table | Figure | Cards | Gallery | Curve | Panel


@dataclass(frozen=True)
class Section:
    """A heading and the blocks under it."""

    title: str
    blocks: tuple[Block, ...] = ()
    severity: str = ""
    """`error`, `warning` or `note`, where the section is about one; shown before the title."""

    topic: str = ""
    """What the section is about, by which a report orders its sections; empty: the title decides."""

    needs_script: bool = False
    """Whether nothing is left of the section where no script runs; Markdown leaves it out."""

    is_on_page: bool = True
    """Whether HTML shows the section; False for what its sortable tables show anyway."""

    @property
    def is_empty(self) -> bool:
        """Whether the section has nothing but paragraphs and tables without rows."""
        return not any(block.rows if isinstance(block, Table) else not isinstance(block, Text) for block in self.blocks)

    @property
    def anchor(self) -> str:
        """The section's id in the page."""
        return "-".join(re.findall(r"[a-z0-9]+", self.title.lower())) or "section"


@dataclass(frozen=True)
class Page:
    """A title, blocks that stand before the first heading, and sections."""

    title: str
    sections: tuple[Section, ...] = ()
    blocks: tuple[Block, ...] = ()
    made_by: str = "obverse"
    """Name of the program, in the head of an HTML page; by it a later run knows the file as its own."""

    linked: Linked | None = None
    """Predictions that the panels share; None for a page without panels."""

    is_wide: bool = False
    """Whether the page is as wide as the window, for tables of many columns."""
