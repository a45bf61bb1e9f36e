"""Numbers with their intervals, as a line of text shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def format_interval(estimate: Mapping[str, Any], style: str) -> str:
    """The interval in words, or why there is none; style: of a number, as `.1%`."""
    if estimate["low"] is None or estimate["high"] is None:
        return f"no interval: {estimate['reason'] or 'not defined'}"
    return f"95 % interval {estimate['low']:{style}} to {estimate['high']:{style}}"
