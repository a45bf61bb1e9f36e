"""Suspect labels: samples whose label disagrees with out-of-sample predictions and with the labels of neighbours."""

from .confident import estimated_errors
from .evidence import Evidence
from .neighbours import NUM_NEIGHBOURS, Neighbours, joined_neighbours, nearest
from .page import summary, suspects_page
from .ranking import Ranking, Suspect, rank
from .table import table_rows, write_table

__all__ = [
    "NUM_NEIGHBOURS",
    "Evidence",
    "Neighbours",
    "Ranking",
    "Suspect",
    "estimated_errors",
    "joined_neighbours",
    "nearest",
    "rank",
    "summary",
    "suspects_page",
    "table_rows",
    "write_table",
]
