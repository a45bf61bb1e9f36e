"""Conformal sets: which classes beside the answer are still possible, with a promise of how often the truth is in."""

from .apply import PredictionSets, prediction_sets, scores_of, sets_of
from .fit import fit_sets
from .promise import band, least_units, promise
from .quantile import Draws, threshold

__all__ = [
    "Draws",
    "PredictionSets",
    "band",
    "fit_sets",
    "least_units",
    "prediction_sets",
    "promise",
    "scores_of",
    "sets_of",
    "threshold",
]
