"""Answers for people to look at: a gallery page, and copies of the pictures with the answer."""

from .show import Showing, show

__all__ = ["Showing", "show"]
