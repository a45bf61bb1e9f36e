"""Calibration: a map of class logits, fitted on val, after which probabilities state how often answers are right."""

from .apply import calibrated, uncalibrated
from .choose import LEAST_UNITS, Evidence, calibrate
from .fit import fit_form, losses_of

__all__ = ["LEAST_UNITS", "Evidence", "calibrate", "calibrated", "fit_form", "losses_of", "uncalibrated"]
