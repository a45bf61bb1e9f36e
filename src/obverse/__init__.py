"""Obverse: image classifiers that look at every side.

The public names, and nothing else. They are imported on first use, so that `obverse --help` need not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inference import Failure, Prediction, Predictor, SetPrediction, load

__all__ = ["Failure", "Prediction", "Predictor", "SetPrediction", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'obverse' has no attribute {name!r}")
    from . import inference

    return getattr(inference, name)
