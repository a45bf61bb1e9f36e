"""A page as one HTML file: its style, its pictures and its script inside, nothing fetched.

The page is complete without its script, which adds sorting, searching and panels that share a filter. The policy in the
head allows that script alone, by its digest.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from .blocks import Block, Gallery, Page, Table
from .escaping import CODE, plain_text
from .svg import colours, curve_svg

LONGEST_OPEN_TABLE = 40
"""Rows from which a table starts folded."""
LEAST_SORTED = 8
"""Rows from which a table can be sorted; the script has the same number."""
_VALUE = r"[-+−]?\d[\d.,]*( ?%)?"
_NUMBER = re.compile(rf"{_VALUE}( to {_VALUE})?|–|not defined")
_AMOUNT = re.compile(rf"{_VALUE}( [kM]B)?( \({_VALUE} to {_VALUE}\))?|below {_VALUE}|\d{{4}}-\d\d-\d\d( \d\d:\d\d)?")
"""What stands in one line besides: a size, a value with its interval, a date."""


def to_html(page: Page) -> str:
    """The page as HTML, with style, pictures and script inside."""
    text = script() if _has_use_of_script(page) else ""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return _environment().get_template("page.html").render(page=page, script=text, script_digest=digest)


def _has_use_of_script(page: Page) -> bool:
    """Whether the page has panels, a gallery with a filter, or a table that is long enough to sort."""
    blocks = [block for section in page.sections for block in section.blocks]
    is_filtered = any(isinstance(block, Gallery) and block.filter for block in blocks)
    has_long_table = any(isinstance(block, Table) and len(block.rows) >= LEAST_SORTED for block in blocks)
    return page.linked is not None or is_filtered or has_long_table


@cache
def style() -> str:
    """The style of all pages, for one that is no report."""
    return (resources.files("obverse.report") / "style.css").read_text("utf-8")


@cache
def script() -> str:
    """The script of all pages: its parts in the order of their names, in one scope."""
    folder = resources.files("obverse.report") / "script"
    parts = sorted((part for part in folder.iterdir() if part.name.endswith(".js")), key=lambda part: part.name)
    return '"use strict";\n(() => {\n' + "".join(part.read_text("utf-8") for part in parts) + "})();\n"


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
    environment.filters |= {
        "plain": plain_text,
        "code": _code,
        "unbroken": _unbroken,
        "data_address": _data_address,
        "numeric": _numeric_columns,
    }
    environment.filters["svg"] = curve_svg
    environment.tests["number_text"] = _is_amount
    environment.globals |= {"longest_open_table": LONGEST_OPEN_TABLE, "shortest_contents": 6}
    environment.filters["colours"] = colours
    return environment


def _data_address(encoded: bytes) -> str:
    kind = "jpeg" if encoded.startswith(b"\xff\xd8") else "webp" if encoded[8:12] == b"WEBP" else "png"
    return f"data:image/{kind};base64," + base64.b64encode(encoded).decode("ascii")


def _numeric_columns(table: Table) -> list[bool]:
    """Whether each column has only numbers; False for the first column, which names the rows."""
    return [column > 0 and all(_is_amount(row[column]) for row in table.rows) for column in range(len(table.header))]


def _code(escaped: str) -> str:
    """HTML with code in backticks as code."""
    return CODE.sub(r"<code>\1</code>", str(escaped))


def _unbroken(cell: str) -> str:
    """The cell; an interval may break before its upper end, but not before its unit."""
    return cell.replace(" %", "\N{NO-BREAK SPACE}%") if " to " in cell and _is_number(cell) else cell


def _is_amount(cell: str) -> bool:
    """Whether a cell holds nothing but a number, with its unit or interval, or a date."""
    return _is_number(cell) or _AMOUNT.fullmatch(cell) is not None


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, an interval or a mark that there is none."""
    return _NUMBER.fullmatch(cell) is not None
