"""Explanations of predictions: maps of important places per view, influence of each view, nearest neighbours."""

from .embeddings import LabelledEmbeddings, Similar, nearest
from .explain import Explanation, explain
from .influence import Influence, ViewInfluence, view_influence
from .maps import Drawn, MapFolder, earlier_maps, report_maps, require_free
from .methods import ALL, METHODS
from .picture import draw, overlay
from .thumbnails import thumbnails_of

__all__ = [
    "ALL",
    "METHODS",
    "Drawn",
    "Explanation",
    "Influence",
    "LabelledEmbeddings",
    "MapFolder",
    "Similar",
    "ViewInfluence",
    "draw",
    "earlier_maps",
    "explain",
    "nearest",
    "overlay",
    "report_maps",
    "require_free",
    "thumbnails_of",
    "view_influence",
]
