"""Results of prediction as rows and files."""

from .forms import csv_line
from .rows import SIMILAR, Rows
from .shards import shard_of
from .writing import RowOptions, Written, write_results

__all__ = ["SIMILAR", "RowOptions", "Rows", "Written", "csv_line", "shard_of", "write_results"]
