"""Calibration in an evaluation: scores before and after, and the reliability diagram."""

from .measure import uncalibrated_estimates
from .section import calibration_section

__all__ = ["calibration_section", "uncalibrated_estimates"]
