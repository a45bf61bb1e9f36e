"""Picture sets that Obverse draws itself, so that every quick start and learning test runs on an empty machine."""

from .coins import (
    GRADES,
    CoinSet,
    best_single_view_accuracy,
    coin_sides,
    draw_coin,
    generate_coins,
)
from .shapes import SHAPES, ShapeSet, draw_shape, generate_shapes

__all__ = [
    "GRADES",
    "SHAPES",
    "CoinSet",
    "ShapeSet",
    "best_single_view_accuracy",
    "coin_sides",
    "draw_coin",
    "draw_shape",
    "generate_coins",
    "generate_shapes",
]
