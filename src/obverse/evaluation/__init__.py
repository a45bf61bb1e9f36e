"""Predictions, measurements and their report."""

from .compare import Difference, differences, holm, require_same_samples, samples_needed, seed_interval
from .decoding import decide
from .diagnosis import Diagnosis, Story, diagnose
from .evaluate import Outputs, run_model, softmax, to_predictions
from .forward import Forward
from .measure import Estimate, Metrics, measure
from .plots import plot_conditions, plot_history
from .predictions import Predictions
from .report import write_evaluation
from .sections import Section
from .selection import LOWER_IS_BETTER, is_better, mean_loss, selection_value

__all__ = [
    "LOWER_IS_BETTER",
    "Diagnosis",
    "Difference",
    "Estimate",
    "Forward",
    "Metrics",
    "Outputs",
    "Predictions",
    "Section",
    "Story",
    "decide",
    "diagnose",
    "differences",
    "holm",
    "is_better",
    "mean_loss",
    "measure",
    "plot_conditions",
    "plot_history",
    "require_same_samples",
    "run_model",
    "samples_needed",
    "seed_interval",
    "selection_value",
    "softmax",
    "to_predictions",
    "write_evaluation",
]
