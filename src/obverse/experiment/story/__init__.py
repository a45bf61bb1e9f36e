"""What a report says of a run besides its measurements: facts in words, diagnoses, findings, curves."""

from .facts import calibration_words, model_words, refit_fact, run_facts
from .story import (
    HISTORY,
    RunStory,
    TrainAccuracy,
    choice_rows,
    endangering,
    final_story,
    imbalance_remedy,
    read_story,
    train_accuracy,
    training_log,
    training_log_of,
)

__all__ = [
    "HISTORY",
    "RunStory",
    "TrainAccuracy",
    "calibration_words",
    "choice_rows",
    "endangering",
    "final_story",
    "imbalance_remedy",
    "model_words",
    "read_story",
    "refit_fact",
    "run_facts",
    "train_accuracy",
    "training_log",
    "training_log_of",
]
