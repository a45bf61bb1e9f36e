"""Losses and class weights."""

from .build import build_objective
from .linear import STRENGTHS, Components, LinearHeads, Link, fit_linear
from .objective import LabelLosses, Objective
from .ordinal import sord_targets
from .weights import class_weights

__all__ = [
    "STRENGTHS",
    "Components",
    "LabelLosses",
    "LinearHeads",
    "Link",
    "Objective",
    "build_objective",
    "class_weights",
    "fit_linear",
    "sord_targets",
]
