"""Metrics with their intervals, as functions of numpy arrays: no models, files or class names.

The metrics of answers are functions of the confusion matrix. It is a sum over samples, so ranks, folds and batches can
add their matrices before any division.
"""

from .answers import SMALLEST_PROBABILITY, LabelSets, OneLabel
from .calibration import Reliability, reliability
from .counts import (
    ClassScores,
    FloatArray,
    IntArray,
    accuracy,
    balanced_accuracy,
    class_scores,
    confusion_matrix,
    macro_f1,
    macro_precision,
    top_k_accuracy,
    top_k_hits,
)
from .families.probabilities import reliability_of
from .intervals import (
    CLASS_AVERAGES,
    Interval,
    bounded_mean_interval,
    class_average_interval,
    ordinal_intervals,
    positive_mean_interval,
    score_interval,
    set_intervals,
    share_interval,
    wilson_interval,
)
from .label_sets import (
    Ranking,
    best_thresholds,
    mean_average_precision,
    mean_of_known,
    set_macro_f1,
    set_macro_f1_influence,
    set_micro_f1,
    set_micro_f1_influence,
    set_scores,
)
from .metric import Measure, Metric
from .ordinal import mean_absolute_error, quadratic_kappa, within_one
from .registry import (
    LABEL_SETS,
    LOWER_IS_BETTER,
    NAMES,
    ONE_LABEL,
    PROBABILITIES,
    TABLE,
    class_scores_of,
    compared,
    metric_named,
    metric_of,
    too_few,
)
from .resampling import Resampler
from .spread import coefficient_of_variation, cv_ratio, label_cv, prediction_cv
from .units import Spread, Units, class_spread, spread

__all__ = [
    "CLASS_AVERAGES",
    "LABEL_SETS",
    "LOWER_IS_BETTER",
    "NAMES",
    "ONE_LABEL",
    "PROBABILITIES",
    "SMALLEST_PROBABILITY",
    "TABLE",
    "ClassScores",
    "FloatArray",
    "IntArray",
    "Interval",
    "LabelSets",
    "Measure",
    "Metric",
    "OneLabel",
    "Ranking",
    "Reliability",
    "Resampler",
    "Spread",
    "Units",
    "accuracy",
    "balanced_accuracy",
    "best_thresholds",
    "bounded_mean_interval",
    "class_average_interval",
    "class_scores",
    "class_scores_of",
    "class_spread",
    "coefficient_of_variation",
    "compared",
    "confusion_matrix",
    "cv_ratio",
    "label_cv",
    "macro_f1",
    "macro_precision",
    "mean_absolute_error",
    "mean_average_precision",
    "mean_of_known",
    "metric_named",
    "metric_of",
    "ordinal_intervals",
    "positive_mean_interval",
    "prediction_cv",
    "quadratic_kappa",
    "reliability",
    "reliability_of",
    "score_interval",
    "set_intervals",
    "set_macro_f1",
    "set_macro_f1_influence",
    "set_micro_f1",
    "set_micro_f1_influence",
    "set_scores",
    "share_interval",
    "spread",
    "too_few",
    "top_k_accuracy",
    "top_k_hits",
    "wilson_interval",
    "within_one",
]
