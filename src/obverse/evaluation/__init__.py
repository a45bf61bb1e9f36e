"""Predictions, measurements and their report."""

from .decoding import decide
from .diagnosis import Diagnosis, Story, diagnose
from .evaluate import Outputs, run_model, softmax, to_predictions
from .forward import Forward
from .measure import Metrics, measure
from .plots import plot_history
from .predictions import Predictions
from .report import write_evaluation
from .sections import Section
from .selection import LOWER_IS_BETTER, is_better, mean_loss, selection_value

__all__ = [
    "LOWER_IS_BETTER",
    "Diagnosis",
    "Forward",
    "Metrics",
    "Outputs",
    "Predictions",
    "Section",
    "Story",
    "decide",
    "diagnose",
    "is_better",
    "mean_loss",
    "measure",
    "plot_history",
    "run_model",
    "selection_value",
    "softmax",
    "to_predictions",
    "write_evaluation",
]
