"""Losses, and what each sample weighs in them."""

from .build import build_objective
from .objective import Objective, hard_targets
from .weights import class_weights

__all__ = ["Objective", "build_objective", "class_weights", "hard_targets"]
