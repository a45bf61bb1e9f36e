"""Predictions, measurements and their report."""

from obverse.metrics import LEVEL, Difference, holm, samples_needed, units_needed

from .arrays_on_disk import Float32Array, create_folder
from .compare import (
    differences,
    discordant,
    gain_in,
    gain_in_accuracy,
    joint_units,
    require_same_samples,
    seed_interval,
    too_few,
)
from .diagnosis import Diagnosis, Story, diagnose
from .embedding_map import map_embeddings
from .estimates import Estimate, estimate_share
from .evaluate import to_predictions
from .label_sets.measure import SetMetrics
from .one_class.measure import Metrics
from .one_class.tables import CONFUSION_PNG
from .page import (
    Extras,
    History,
    Measured,
    Thumbnails,
    data_name,
    items_of,
    measured_of,
    measured_section,
    model_card,
    read_measured,
    shortened,
)
from .plots import plot_conditions, plot_history
from .predictions import OUT_OF_FOLD, Predictions
from .report import EARLIER, Topic, write_evaluation
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
from .tick_names import are_numbered

__all__ = [
    "CONFUSION_PNG",
    "EARLIER",
    "LEVEL",
    "LOWER_IS_BETTER",
    "OUT_OF_FOLD",
    "Diagnosis",
    "Difference",
    "Estimate",
    "Extras",
    "Float32Array",
    "History",
    "Measured",
    "Measurements",
    "Metrics",
    "Predictions",
    "Seen",
    "SetMetrics",
    "Story",
    "Thumbnails",
    "Topic",
    "are_numbered",
    "best_prior",
    "create_folder",
    "data_name",
    "diagnose",
    "differences",
    "discordant",
    "estimate_share",
    "gain_in",
    "gain_in_accuracy",
    "holm",
    "is_better",
    "items_of",
    "joint_units",
    "map_embeddings",
    "mean_loss",
    "measure",
    "measured_of",
    "measured_section",
    "model_card",
    "plot_conditions",
    "plot_history",
    "read_measured",
    "require_same_samples",
    "samples_needed",
    "seed_interval",
    "selection_value",
    "shortened",
    "surest_mistakes",
    "to_predictions",
    "too_few",
    "units_needed",
    "with_best_prior",
    "write_evaluation",
]
