"""Bundles that answer."""

from .inputs import Failure
from .predictor import Prediction, Predictor, SetPrediction, load

__all__ = ["Failure", "Prediction", "Predictor", "SetPrediction", "load"]
