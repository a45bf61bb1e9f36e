"""Files of the page, read once; the style is the report's with some lines more."""

from __future__ import annotations

from functools import cache
from importlib import resources

from obverse.report import style
from obverse.serving.faces import Answer

FILES = {"/": "page.html", "/ui/page.js": "page.js", "/ui/style.css": "page.css"}
"""Path -> file."""
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and do."""


def answer(name: str) -> Answer:
    """A file of the page."""
    kind = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    return Answer(_content(name), content_type=kind, headers={"content-security-policy": POLICY})


@cache
def _content(name: str) -> bytes:
    text = (resources.files("obverse.serving.page") / name).read_text("utf-8")
    return ((style() if name == "page.css" else "") + text).encode()
