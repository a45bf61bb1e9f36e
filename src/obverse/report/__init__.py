"""Pages and summaries: typed blocks, rendered as Markdown and as one style of HTML."""

from .blocks import Block, Figure, Gallery, Page, Picture, Row, Section, Table, Text
from .html import to_html, to_html_fragment
from .markdown import to_markdown

__all__ = [
    "Block",
    "Figure",
    "Gallery",
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
