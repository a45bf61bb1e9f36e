"""Losses: each returns (sum, weight)."""

from .cross_entropy import cross_entropy

__all__ = ["cross_entropy"]
