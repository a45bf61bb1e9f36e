"""Prediction in two steps, for a service: samples are prepared in any thread, and answered together in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from obverse.engines import TorchEngine
from obverse.errors import DataError
from obverse.runs import explained

from .prediction import Prediction
from .predictor import Predictor
from .requests import WHOLE, Cell, Failure, Picture, Request, Source

if TYPE_CHECKING:  # explanation brings evaluation and reports, which prediction itself does not need
    from obverse.explain import Overlay


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


def has_maps(predictor: Predictor) -> bool:
    """Whether the engine gives gradients, of which maps are made."""
    return isinstance(predictor.engine, TorchEngine)


def map_prepared(predictor: Predictor, sample: Prepared, label: str) -> dict[str, Overlay]:
    """Maps of what speaks for the class `label`, by the name of the picture that each lies over.

    sample: its pictures are pixels. RecipeError for a network without a map that one pass gives.
    """
    from obverse.explain import overlay_of, quick_maps

    engine, bundle = predictor.engine, predictor.bundle
    assert isinstance(engine, TorchEngine), "see `has_maps`"
    with explained(Path(), "try device cpu"):
        batch = predictor.reader.stacked([(sample.request, sample.images_VCHW)])
        heats = dict(zip(predictor.views, quick_maps(engine, batch, predictor.classes.index(label)), strict=True))
    whole, views = sample.request.whole, sample.request.views
    if whole is not None:
        return {WHOLE: overlay_of([*heats.values()], bundle.geometry, bundle.parts, _size(whole))}
    return {view: overlay_of([heats[view]], bundle.geometry, (), _size(picture)) for view, picture in views.items()}


def _size(picture: Source) -> tuple[int, int]:
    assert isinstance(picture, np.ndarray), "decoded before"
    return picture.shape[0], picture.shape[1]
