"""Bundles that answer."""

from .predictor import Prediction, Predictor, SetPrediction, load

__all__ = ["Prediction", "Predictor", "SetPrediction", "load"]
