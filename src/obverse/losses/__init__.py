"""Losses, and what each sample weighs in them."""

from .objective import Objective, build_objective, hard_targets
from .weights import class_weights

__all__ = ["Objective", "build_objective", "class_weights", "hard_targets"]
