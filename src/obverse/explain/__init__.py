"""Explanations of predictions: attention, rollout and Grad-CAM maps per view; nearest neighbours by embedding."""

from .embeddings import nearest
from .explain import Explanation, explain
from .maps import Drawn, MapFolder, earlier_maps, report_maps, require_free
from .picture import draw, overlay

__all__ = [
    "Drawn",
    "Explanation",
    "MapFolder",
    "draw",
    "earlier_maps",
    "explain",
    "nearest",
    "overlay",
    "report_maps",
    "require_free",
]
