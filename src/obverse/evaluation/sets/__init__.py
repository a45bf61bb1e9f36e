"""Prediction sets in an evaluation: how often they hold the true class, and how large they are."""

from .measure import SetsMetrics, measure_sets
from .section import sets_section

__all__ = ["SetsMetrics", "measure_sets", "sets_section"]
