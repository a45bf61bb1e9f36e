"""Calibration: a map of class logits, fitted on val, after which probabilities state how often answers are right."""

from .apply import calibrated, uncalibrated
from .choose import LEAST_UNITS, Evidence, calibrate, calibrated_probabilities, cross_probabilities
from .fit import fit_form, losses_of

__all__ = [
    "LEAST_UNITS",
    "Evidence",
    "calibrate",
    "calibrated",
    "calibrated_probabilities",
    "cross_probabilities",
    "fit_form",
    "losses_of",
    "uncalibrated",
]
