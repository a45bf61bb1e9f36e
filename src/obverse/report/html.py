"""A page as one HTML file: its style and its pictures inside, no script, nothing fetched."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from .blocks import MOST_ITEMS, Block, Page, Table
from .escaping import plain_text
from .svg import NUM_COLOURS, curve_svg

LONGEST_OPEN_TABLE = 40
"""Rows from which a table starts folded."""
_VALUE = r"[-+−]?\d[\d.,]*( ?%)?"
_NUMBER = re.compile(rf"{_VALUE}( to {_VALUE})?|–|not defined")


def to_html(page: Page) -> str:
    """The page as HTML, with style and pictures inside."""
    return _environment().get_template("page.html").render(page=page)


def to_html_fragment(blocks: Iterable[Block], *, label: str) -> str:
    """Blocks as HTML without the page around them. label: name of long tables for screen readers."""
    return str(_environment().get_template("blocks.html").module.render(blocks, label))  # type: ignore[attr-defined]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("obverse", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain_text, "data_address": _data_address, "numeric": _numeric_columns}
    environment.filters["svg"] = curve_svg
    environment.tests["number_text"] = _is_number
    environment.globals |= {"longest_open_table": LONGEST_OPEN_TABLE, "most_items": MOST_ITEMS}
    environment.globals["num_colours"] = NUM_COLOURS
    return environment


def _data_address(encoded: bytes) -> str:
    kind = "jpeg" if encoded.startswith(b"\xff\xd8") else "webp" if encoded[8:12] == b"WEBP" else "png"
    return f"data:image/{kind};base64," + base64.b64encode(encoded).decode("ascii")


def _numeric_columns(table: Table) -> list[bool]:
    """Whether each column has only numbers; False for the first column, which names the rows."""
    return [column > 0 and all(_is_number(row[column]) for row in table.rows) for column in range(len(table.header))]


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, an interval or a mark that there is none."""
    return _NUMBER.fullmatch(cell) is not None
