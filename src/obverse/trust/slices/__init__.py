"""Slices of an evaluation: samples with a common attribute on which the model is worse than on the rest."""

from .facets import slice_facets
from .find import Slices, WeakSlice, find_slices
from .losses import Losses, sample_losses
from .section import slices_section, slices_topic

__all__ = [
    "Losses",
    "Slices",
    "WeakSlice",
    "find_slices",
    "sample_losses",
    "slice_facets",
    "slices_section",
    "slices_topic",
]
