"""Conformal sets: which classes beside the answer are still possible, with a promise of how often the truth is in."""

from .apply import PredictionSets, sets_of
from .fit import fit_sets
from .promise import band, least_units, promise
from .quantile import Draws, threshold
from .scores import class_scores

__all__ = [
    "Draws",
    "PredictionSets",
    "band",
    "class_scores",
    "fit_sets",
    "least_units",
    "promise",
    "sets_of",
    "threshold",
]
