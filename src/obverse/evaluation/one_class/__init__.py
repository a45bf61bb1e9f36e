"""Measurements, tables and sections where every sample has one class."""

from .measure import Metrics, measure, surest_mistakes
from .sections import sections
from .tables import plots, result_rows, view_rows

__all__ = ["Metrics", "measure", "plots", "result_rows", "sections", "surest_mistakes", "view_rows"]
