"""Prediction with a trained model: inputs, predictor and predictions."""

from .inputs import Failure, unread_in
from .prediction import Prediction
from .predictor import TOP_K, Predictor, load

__all__ = ["TOP_K", "Failure", "Prediction", "Predictor", "load", "unread_in"]
