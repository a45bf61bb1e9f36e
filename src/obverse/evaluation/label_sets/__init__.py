"""Measurements, tables and sections of multi-label data."""

from .measure import SetMetrics, measure, surest_mistakes
from .sections import sections
from .tables import plots, result_rows, view_rows

__all__ = ["SetMetrics", "measure", "plots", "result_rows", "sections", "surest_mistakes", "view_rows"]
