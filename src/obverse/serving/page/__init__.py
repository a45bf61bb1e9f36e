"""The page of a server: plain HTML, style and script, which nothing builds."""

from .files import FILES, answer

__all__ = ["FILES", "answer"]
