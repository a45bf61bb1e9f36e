"""Losses, what each sample weighs in them, and what the head's numbers mean."""

from .build import build_objective
from .objective import Objective, hard_targets
from .output import build_output, class_logits, decide, decide_sets, probabilities, training_prior
from .weights import class_weights

__all__ = [
    "Objective",
    "build_objective",
    "build_output",
    "class_logits",
    "class_weights",
    "decide",
    "decide_sets",
    "hard_targets",
    "probabilities",
    "training_prior",
]
