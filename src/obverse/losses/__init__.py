"""Losses and class weights."""

from .build import build_objective
from .objective import LabelLosses, Objective
from .weights import class_weights

__all__ = ["LabelLosses", "Objective", "build_objective", "class_weights"]
