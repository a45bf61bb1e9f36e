"""Predictions, measurements and their report."""

from .compare import Difference, differences, holm, require_same_samples, samples_needed, seed_interval
from .diagnosis import Diagnosis, Story, diagnose
from .evaluate import to_predictions, to_set_predictions
from .label_sets.measure import SetMetrics
from .one_class.measure import Estimate, Metrics, measure
from .plots import plot_conditions, plot_history
from .predictions import Predictions
from .report import EARLIER, write_evaluation, write_set_evaluation
from .seen import Seen
from .selection import (
    LOWER_IS_BETTER,
    best_prior,
    is_better,
    mean_loss,
    selected_value,
    selection_value,
    with_best_prior,
)
from .set_predictions import SetPredictions

__all__ = [
    "EARLIER",
    "LOWER_IS_BETTER",
    "Diagnosis",
    "Difference",
    "Estimate",
    "Metrics",
    "Predictions",
    "Seen",
    "SetMetrics",
    "SetPredictions",
    "Story",
    "best_prior",
    "diagnose",
    "differences",
    "holm",
    "is_better",
    "mean_loss",
    "measure",
    "plot_conditions",
    "plot_history",
    "require_same_samples",
    "samples_needed",
    "seed_interval",
    "selected_value",
    "selection_value",
    "to_predictions",
    "to_set_predictions",
    "with_best_prior",
    "write_evaluation",
    "write_set_evaluation",
]
