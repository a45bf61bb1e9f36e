"""Bundles that answer."""

from .inputs import Failure
from .prediction import Prediction
from .predictor import Predictor, load

__all__ = ["Failure", "Prediction", "Predictor", "load"]
