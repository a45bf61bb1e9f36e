"""Pages and summaries: typed blocks, rendered as Markdown and as one style of HTML."""

from .blocks import (
    MOST_ITEMS,
    Block,
    Card,
    Cards,
    Curve,
    Figure,
    Gallery,
    Item,
    Line,
    Page,
    Panel,
    Picture,
    Row,
    Section,
    Table,
    Text,
)
from .escaping import plain_text
from .html import style, to_html, to_html_fragment
from .linked import Facet, Linked
from .markdown import to_markdown

__all__ = [
    "MOST_ITEMS",
    "Block",
    "Card",
    "Cards",
    "Curve",
    "Facet",
    "Figure",
    "Gallery",
    "Item",
    "Line",
    "Linked",
    "Page",
    "Panel",
    "Picture",
    "Row",
    "Section",
    "Table",
    "Text",
    "plain_text",
    "style",
    "to_html",
    "to_html_fragment",
    "to_markdown",
]
