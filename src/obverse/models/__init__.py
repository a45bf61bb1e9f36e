"""Batches -> logits."""

from .build import InputNeeds, build_classifier, input_needs
from .classifier import Classifier
from .groups import parameter_groups, undecayed_names
from .timm_backbone import why_unavailable

__all__ = [
    "Classifier",
    "InputNeeds",
    "build_classifier",
    "input_needs",
    "parameter_groups",
    "undecayed_names",
    "why_unavailable",
]
