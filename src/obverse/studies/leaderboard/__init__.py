"""Past runs below a folder, ranked within the same data and metric. Reads JSON, CSV and numpy files, and no torch."""

from .board import Leaderboard, read_leaderboard
from .table import printed_tables, summary

__all__ = ["Leaderboard", "printed_tables", "read_leaderboard", "summary"]
