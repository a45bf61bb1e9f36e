"""Why a model says what it says: attention, rollout and Grad-CAM per view; nearest neighbours by embedding."""

from .embeddings import nearest
from .explain import Explanation, explain
from .picture import draw, overlay

__all__ = ["Explanation", "draw", "explain", "nearest", "overlay"]
