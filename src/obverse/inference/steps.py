"""Prediction in two steps, for a service: samples are prepared in any thread, and answered together in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from obverse.errors import DataError
from obverse.runs import explained

from .prediction import Prediction
from .predictor import Predictor
from .requests import Cell, Failure, Picture, Request


@dataclass(frozen=True)
class Prepared:
    """One sample with its fitted pictures."""

    request: Request

    images_VCHW: torch.Tensor
    """Views at the model's input size, uint8."""


def least_decode(predictor: Predictor) -> tuple[int, int]:
    """(min_height, min_width) to decode a picture for the model; (0, 0): full size."""
    bundle = predictor.bundle
    least = bundle.geometry.least_decode
    return bundle.parts[0].enlarged(*least) if bundle.parts else least


def prepare(predictor: Predictor, sample: Mapping[str, Picture | Cell]) -> Prepared:
    """The sample with its pictures decoded and fitted. sample: view -> picture, extra column -> value.

    DataError when a picture or value cannot be used.
    """
    (request,) = predictor.requests([sample])
    views = predictor.reader.views_or_failure(request)
    if isinstance(views, Failure):
        raise DataError(views.error)
    return Prepared(request, views)


def predict_prepared(predictor: Predictor, samples: Sequence[Prepared], *, top_k: int) -> list[Prediction]:
    """Predictions for prepared samples, in order, from one forward pass. top_k: classes in `Prediction.top`."""
    with explained(Path(), "try a smaller batch, or device cpu"):
        batch = predictor.reader.stacked([(each.request, each.images_VCHW) for each in samples])
        return list(predictor.answered(batch, top_k=top_k))
