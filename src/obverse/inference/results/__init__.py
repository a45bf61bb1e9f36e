"""Results of prediction as rows and files."""

from .forms import csv_line
from .partial import require_absent
from .rows import Answer, Rows
from .shards import BATCH_SIZE, shard_of
from .words import answer_words, percent_note, set_words_of
from .writing import RowOptions, Written, write_results

__all__ = [
    "BATCH_SIZE",
    "RowOptions",
    "Answer",
    "Rows",
    "Written",
    "answer_words",
    "csv_line",
    "percent_note",
    "require_absent",
    "set_words_of",
    "shard_of",
    "write_results",
]
