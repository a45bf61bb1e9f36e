"""`obverse check`: everything that verification finds in a source, as a table, JSON and a page."""

from .check import Check, check_data
from .check_report import kinds_of, require_free, write_check

__all__ = ["Check", "check_data", "kinds_of", "require_free", "write_check"]
