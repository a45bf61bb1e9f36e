"""Escaping of untrusted text for pages."""

from __future__ import annotations

import re
import unicodedata

_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


CODE = re.compile(r"`([A-Za-z][\w .:=/-]*)`")
"""Code in backticks. It has no character that HTML or Markdown would read as markup."""


def plain_text(text: str) -> str:
    """One line of printable characters: control marks, which could reorder or hide text, show as a replacement."""
    hidden = ("Cc", "Cs")
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in hidden or char in _REORDERING else char
        for char in " ".join(text.split())
    )


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too; an underscore inside a word needs no escape."""
    return _escaped(plain_text(text))


def _escaped(text: str) -> str:
    entities = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~$#])|(?<![^\W_])(_)|(_)(?![^\W_])", lambda match: "\\" + match.group(0), entities)


def markdown_prose(text: str) -> str:
    """Text that Markdown shows as it is, except code in backticks, which it shows as code."""
    parts = CODE.split(plain_text(text))
    return "".join(f"`{part}`" if place % 2 else _escaped(part) for place, part in enumerate(parts))
