"""The page for people: plain HTML, style and script, which nothing builds, for a server or an exported folder."""

from .content import html, script, style

__all__ = ["html", "script", "style"]
