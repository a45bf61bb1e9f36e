"""Escaping of untrusted text for pages."""

from __future__ import annotations

import re
import unicodedata

_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain_text(text: str) -> str:
    """One line of printable characters: control marks, which could reorder or hide text, show as a replacement."""
    hidden = ("Cc", "Cs")
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in hidden or char in _REORDERING else char
        for char in " ".join(text.split())
    )


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too; an underscore inside a word needs no escape."""
    entities = plain_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~$#])|(?<![^\W_])(_)|(_)(?![^\W_])", lambda match: "\\" + match.group(0), entities)
