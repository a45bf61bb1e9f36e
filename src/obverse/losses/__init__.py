"""Losses, what each sample weighs in them, and what the head's numbers mean."""

from .objective import Objective, build_objective, hard_targets
from .output import build_output, class_logits, decide
from .weights import class_weights

__all__ = [
    "Objective",
    "build_objective",
    "build_output",
    "class_logits",
    "class_weights",
    "decide",
    "hard_targets",
]
