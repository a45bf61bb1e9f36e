"""Explanations of predictions: maps of important places per view, influence of each view, nearest neighbours."""

from .embeddings import LabelledEmbeddings, Similar, nearest
from .explain import Explanation, HeatMap, explain, quick_maps
from .influence import Influence, ViewInfluence, view_influence
from .maps import Drawn, MapFolder, earlier_maps, report_maps, require_free
from .methods import ALL, METHODS
from .overlays import Overlay, overlay_of
from .picture import draw, overlay
from .thumbnails import thumbnails_of

__all__ = [
    "ALL",
    "METHODS",
    "Drawn",
    "Explanation",
    "HeatMap",
    "Influence",
    "LabelledEmbeddings",
    "MapFolder",
    "Overlay",
    "Similar",
    "ViewInfluence",
    "draw",
    "earlier_maps",
    "explain",
    "nearest",
    "overlay",
    "overlay_of",
    "quick_maps",
    "report_maps",
    "require_free",
    "thumbnails_of",
    "view_influence",
]
