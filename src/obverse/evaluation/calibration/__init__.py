"""Calibration in an evaluation: scores before and after, and the reliability diagram."""

from .measure import uncalibrated_estimates
from .section import MOST_ERROR, calibration_section, states_how_often

__all__ = ["MOST_ERROR", "calibration_section", "states_how_often", "uncalibrated_estimates"]
