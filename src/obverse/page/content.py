"""Text of the page's files, read once.

`page.js` draws the page and asks a `backend`, which another script defines: `server.js` asks a server, `browser.js` the
model in the browser, which runs in `worker.js`.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib import resources

from obverse import report

_HEAD = '<meta charset="utf-8">\n'


def html(*, policy: str = "") -> str:
    """The document. policy: what it may load and do, where no server's header says it."""
    if not policy:
        return script("page.html")
    rule = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
    return script("page.html").replace(_HEAD, _HEAD + rule, 1)


def style() -> str:
    """The style: that of all reports, and below it the page's own."""
    return report.style() + script("page.css")


@cache
def script(name: str) -> str:
    """A file of this room, by name."""
    return (resources.files("obverse.page") / name).read_text("utf-8")
