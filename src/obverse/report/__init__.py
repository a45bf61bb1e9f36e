"""Pages and summaries: typed blocks, rendered as Markdown and as one style of HTML."""

from .blocks import (
    Block,
    Card,
    Cards,
    Curve,
    Figure,
    Gallery,
    Item,
    Line,
    Page,
    Picture,
    Row,
    Section,
    Table,
    Text,
)
from .html import to_html, to_html_fragment
from .markdown import to_markdown

__all__ = [
    "Block",
    "Card",
    "Cards",
    "Curve",
    "Figure",
    "Gallery",
    "Item",
    "Line",
    "Page",
    "Picture",
    "Row",
    "Section",
    "Table",
    "Text",
    "to_html",
    "to_html_fragment",
    "to_markdown",
]
