"""`obverse check`: everything that verification finds in a source, as a table, JSON and a page."""

from .check import Check, check_data
from .check_report import require_free, write_check
from .check_table import HEADER, count_sentence, finding_rows

__all__ = ["HEADER", "Check", "check_data", "count_sentence", "finding_rows", "require_free", "write_check"]
