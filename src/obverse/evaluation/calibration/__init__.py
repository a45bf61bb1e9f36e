"""Calibration in an evaluation: scores before and after, and the reliability diagram."""

from .measure import uncalibrated_estimates
from .section import calibration_section, states_how_often

__all__ = ["calibration_section", "states_how_often", "uncalibrated_estimates"]
