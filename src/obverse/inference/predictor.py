"""The predictor: a bundle that answers. The command line, Python users and services all use this one object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle, read_bundle
from obverse.data import Batch
from obverse.errors import RecipeError
from obverse.evaluation import Forward, decide, run_model, softmax
from obverse.imaging import PictureError
from obverse.models import Classifier
from obverse.runs.failures import explained
from obverse.runtime import resolve_device

from .inputs import Input, Request, load_pixels, read_requests


@dataclass(frozen=True)
class Prediction:
    """label: the answer, with its probability. top: (class, probability), the answer, then from the likeliest down.

    For ordered classes the answer may be the median or mean of the distribution, which need not be the likeliest.
    The probabilities are the model's output, not calibrated: they order classes, they are not a promise of accuracy.
    by_view: what each view alone would say, for a model of several views.
    """

    id: str
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    by_view: dict[str, tuple[str, float]]


class Predictor:
    """Predicts with a bundle on one device."""

    def __init__(self, bundle: Bundle, classifier: Classifier, *, device: str = "auto") -> None:
        self.bundle = bundle
        self._device = resolve_device(device)
        self.classifier = classifier.to(self._device)
        self.forward = Forward(bundle.mean, bundle.std, self._device, output=bundle.output)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.bundle.classes

    @property
    def views(self) -> tuple[str, ...]:
        """The views that the model looks at."""
        return self.bundle.views

    def predict(self, inputs: Input | Sequence[Input], *, top_k: int = 3, batch_size: int = 16) -> list[Prediction]:
        """Predict one or many samples, in order.

        inputs: a path, a folder, a PIL image, a uint8 array (height, width[, 3]), a dict view -> picture, or a sequence
        of these. Raises DataError naming the picture that cannot be used.
        """
        if top_k < 1 or batch_size < 1:
            raise RecipeError(f"top_k and batch_size must be at least 1, not {top_k} and {batch_size}")
        requests = read_requests(inputs, self.views)
        with explained(Path(), "try a smaller batch_size, or device cpu"):
            return self._predict(requests, top_k, batch_size)

    def embed(self, inputs: Input | Sequence[Input], *, batch_size: int = 16) -> npt.NDArray[np.float32]:
        """Embeddings (N, D) of samples, in order: what the encoder hands to the head, all views fused."""
        with explained(Path(), "try a smaller batch_size, or device cpu"):
            return run_model(self.classifier, self.forward, self.batches(inputs, batch_size)).embeddings_ND

    def batches(self, inputs: Input | Sequence[Input], batch_size: int) -> Iterator[Batch]:
        """Samples as the model takes them, for `predict`'s inputs."""
        return self._batches(read_requests(inputs, self.views), batch_size)

    def _batches(self, requests: Sequence[Request], batch_size: int) -> Iterator[Batch]:
        return (self._batch(requests[i : i + batch_size]) for i in range(0, len(requests), batch_size))

    def _predict(self, requests: Sequence[Request], top_k: int, batch_size: int) -> list[Prediction]:
        outputs = run_model(self.classifier, self.forward, self._batches(requests, batch_size), each_view=True)
        probabilities_NK = softmax(outputs.logits_NK)
        alone = {view: softmax(rows) for view, rows in zip(self.views, outputs.alone_VNK, strict=False)}
        return [
            self._prediction(request.id, probabilities_NK[i], {view: rows[i] for view, rows in alone.items()}, top_k)
            for i, request in enumerate(requests)
        ]

    def _prediction(
        self, name: str, probabilities_K: npt.NDArray[np.float32], alone: dict[str, npt.NDArray[np.float32]], top_k: int
    ) -> Prediction:
        top = self._ranked(probabilities_K)[: min(top_k, len(self.classes))]
        by_view = {view: self._ranked(row)[0] for view, row in alone.items() if not np.isnan(row).any()}
        return Prediction(name, *top[0], tuple(top), by_view)

    def _ranked(self, probabilities_K: npt.NDArray[np.float32]) -> list[tuple[str, float]]:
        """The answer, then the other classes from the likeliest down."""
        (answer,) = decide(probabilities_K[None], self.bundle.output.decode)
        others = [k for k in np.argsort(-probabilities_K, kind="stable") if k != answer]
        return [(self.classes[k], float(probabilities_K[k])) for k in (answer, *others)]

    def _batch(self, requests: Sequence[Request]) -> Batch:
        geometry = self.bundle.geometry
        blank = torch.full((3, geometry.canvas_height, geometry.canvas_width), geometry.fill, dtype=torch.uint8)
        rows, present = [], []
        for request in requests:
            rows.append(torch.stack([self._picture(request, view, blank) for view in self.views]))
            present.append([view in request.views for view in self.views])
        return Batch(
            images_BVCHW=torch.stack(rows),
            present_BV=torch.tensor(present),
            labels_B=torch.full((len(rows),), -1),
            valid_B=torch.ones(len(rows), dtype=torch.bool),
            ids=tuple(request.id for request in requests),
        )

    def _picture(self, request: Request, view: str, blank: torch.Tensor) -> torch.Tensor:
        if view not in request.views:
            return blank
        picture = request.views[view]
        try:
            return self.bundle.geometry.apply(load_pixels(picture, self.bundle.geometry.least_decode))
        except PictureError as error:
            raise PictureError(str(error) if isinstance(picture, (str, Path)) else f"{request.id}: {error}") from None


def load(path: str | Path, *, device: str = "auto") -> Predictor:
    """The predictor of a run folder or bundle. DataError when it is neither or is damaged."""
    bundle, classifier = read_bundle(Path(path))
    return Predictor(bundle, classifier, device=device)
