"""The page at `/` of a server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from obverse.page import html, script, style

from .faces import Answer

FILES: dict[str, tuple[str, Callable[[], str]]] = {
    "/": ("text/html", html),
    "/ui/page.js": ("text/javascript", partial(script, "page.js")),
    "/ui/backend.js": ("text/javascript", partial(script, "server.js")),
    "/ui/style.css": ("text/css", style),
}
"""Path -> media type and content."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and do."""


def answer(path: str) -> Answer:
    """The file of the page at a path."""
    kind, content = FILES[path]
    headers = {"content-security-policy": POLICY}
    return Answer(content().encode(), content_type=f"{kind}; charset=utf-8", headers=headers)
