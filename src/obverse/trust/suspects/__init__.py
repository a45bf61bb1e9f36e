"""Suspect labels: samples whose label disagrees with out-of-sample predictions and with the labels of neighbours."""

from .confident import estimated_errors
from .evidence import Evidence
from .files import TABLE, write_suspects
from .judges import Case, FrozenJudge, Judges, case_of, evaluations_of, spaces_of
from .neighbours import NUM_NEIGHBOURS, Neighbours, joined_neighbours, nearest
from .page import summary, suspects_page
from .ranking import Ranking, Suspect, rank
from .section import Listed, listed_suspects, pooled_suspects, suspects_topic
from .table import table_rows, write_table

__all__ = [
    "NUM_NEIGHBOURS",
    "TABLE",
    "Case",
    "Evidence",
    "FrozenJudge",
    "Judges",
    "Listed",
    "Neighbours",
    "Ranking",
    "Suspect",
    "case_of",
    "estimated_errors",
    "evaluations_of",
    "joined_neighbours",
    "listed_suspects",
    "nearest",
    "pooled_suspects",
    "rank",
    "spaces_of",
    "summary",
    "suspects_page",
    "suspects_topic",
    "table_rows",
    "write_suspects",
    "write_table",
]
