"""Prediction with a trained model: inputs, predictor and predictions."""

from .inputs import Failure, unread_in
from .json_form import as_json
from .prediction import Prediction
from .predictor import TOP_K, Predictor, load

__all__ = ["TOP_K", "Failure", "Prediction", "Predictor", "as_json", "load", "unread_in"]
