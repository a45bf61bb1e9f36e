"""From the trained network to the model that ships: everything that is fitted after a training."""

from .fitting import fitted_output, output_of_folds, shipped_logits
from .outliers import with_detector, with_outlier_limit
from .ready import ready_model, refitted_model
from .refit import REFIT, set_up_refit, with_share_of_minutes
from .train_pass import outputs_on_train, typical_places

__all__ = [
    "REFIT",
    "fitted_output",
    "output_of_folds",
    "outputs_on_train",
    "ready_model",
    "refitted_model",
    "set_up_refit",
    "shipped_logits",
    "typical_places",
    "with_detector",
    "with_outlier_limit",
    "with_share_of_minutes",
]
