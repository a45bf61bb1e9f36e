"""Synthetic picture sets, for quick starts and learning tests without a download."""

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
