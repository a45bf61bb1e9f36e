"""Predictions, measurements and their report."""

from .compare import Difference, differences, holm, require_same_samples, samples_needed, seed_interval
from .diagnosis import Diagnosis, Story, diagnose
from .estimates import Estimate
from .evaluate import to_predictions
from .label_sets.measure import SetMetrics
from .one_class.measure import Metrics
from .plots import plot_conditions, plot_history
from .predictions import Predictions
from .report import EARLIER, write_evaluation
from .rooms import Measurements, measure, surest_mistakes
from .seen import Seen
from .selection import (
    LOWER_IS_BETTER,
    best_prior,
    is_better,
    mean_loss,
    selection_value,
    with_best_prior,
)

__all__ = [
    "EARLIER",
    "LOWER_IS_BETTER",
    "Diagnosis",
    "Difference",
    "Estimate",
    "Measurements",
    "Metrics",
    "Predictions",
    "Seen",
    "SetMetrics",
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
    "selection_value",
    "surest_mistakes",
    "to_predictions",
    "with_best_prior",
    "write_evaluation",
]
