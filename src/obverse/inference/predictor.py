"""The predictor: a bundle that answers. The command line, Python users and services all use this one object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle, read_bundle
from obverse.data import Batch, column_codes
from obverse.decisions import require_numbers
from obverse.engines import Engine, TorchEngine, run_engine
from obverse.errors import DataError, RecipeError
from obverse.imaging import PictureError
from obverse.models import Classifier
from obverse.runs import explained
from obverse.runtime import resolve_device

from .inputs import (
    Cell,
    Failure,
    Input,
    Picture,
    Request,
    RequestOrFailure,
    Stored,
    find_requests,
    load_pixels,
    read_requests,
)
from .prediction import Prediction, read_predictions

TOP_K = 3
ADVICE = "try a smaller batch_size, or device cpu"


class Predictor:
    """Predicts with a bundle. Threads may share one.

    model: the bundle's classifier, which runs on `device`, or an engine, which runs where it was made to.
    """

    def __init__(self, bundle: Bundle, model: Classifier | Engine, *, device: str = "auto") -> None:
        self.bundle = bundle
        if isinstance(model, Classifier):
            model = TorchEngine.from_bundle(bundle, model, device=resolve_device(device))
        self.engine: Engine = model

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.bundle.classes

    @property
    def views(self) -> tuple[str, ...]:
        """The views that the model looks at."""
        return self.bundle.views

    @property
    def columns(self) -> tuple[str, ...]:
        """The extra columns that the model sees; every one may be left out."""
        return tuple(column.name for column in self.bundle.columns)

    def predict(
        self,
        inputs: Input | Sequence[Input],
        *,
        columns: Mapping[str, Cell] | None = None,
        top_k: int | None = None,
        batch_size: int = 16,
    ) -> list[Prediction]:
        """Predictions of one or many samples, in order. top_k: classes that are named, by default 3; a multi-label
        model names all.

        inputs: a path, a folder, an archive, a table or list of pictures, a PIL image, a uint8 array
        (height, width[, 3]), a dict view -> picture, which may also hold values of extra columns, or a sequence of
        these. columns: values for all samples that do not bring their own. Raises DataError naming the picture that
        cannot be used; `predict_each` goes on.
        """
        top_k = self._top_k(top_k, batch_size)
        requests = self.requests(inputs, columns)
        with explained(Path(), ADVICE):
            batches = (requests[i : i + batch_size] for i in range(0, len(requests), batch_size))
            return [answer for some in batches for answer in self._answers(self._batch(some), top_k)]

    def predict_each(
        self,
        inputs: Input | Sequence[Input],
        *,
        columns: Mapping[str, Cell] | None = None,
        top_k: int | None = None,
        batch_size: int = 16,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Prediction | Failure]:
        """The same one after another, as they come; what cannot be used becomes a `Failure`, and the rest is answered.

        progress(done, total): called after every batch.
        """
        top_k, requests = self._top_k(top_k, batch_size), self._requests_or_failures(inputs, columns)

        def answers() -> Iterator[Prediction | Failure]:
            for start in range(0, len(requests), batch_size):
                some = requests[start : start + batch_size]
                with explained(Path(), ADVICE):
                    of_batch = self._answers_or_failures(some, top_k)
                yield from of_batch
                progress(start + len(some), len(requests))

        return answers()

    def _top_k(self, top_k: int | None, batch_size: int) -> int:
        if top_k is not None and self.bundle.kind.is_set:
            raise RecipeError("top_k is for models that give one class; this one gives every class above its threshold")
        top_k = TOP_K if top_k is None else top_k
        if top_k < 1 or batch_size < 1:
            raise RecipeError(f"top_k and batch_size must be at least 1, not {top_k} and {batch_size}")
        return top_k

    def embed(
        self, inputs: Input | Sequence[Input], *, columns: Mapping[str, Cell] | None = None, batch_size: int = 16
    ) -> npt.NDArray[np.float32]:
        """Embeddings (N, D) of samples, in order: what the encoder hands to the head, all views fused."""
        with explained(Path(), ADVICE):
            batches = self.batches(inputs, batch_size, columns=columns)
            outputs = run_engine(self.engine, batches)
        require_numbers(outputs.embeddings_ND, outputs.ids)
        return outputs.embeddings_ND

    def batches(
        self, inputs: Input | Sequence[Input], batch_size: int, *, columns: Mapping[str, Cell] | None = None
    ) -> Iterator[Batch]:
        """Samples as the model takes them, for `predict`'s inputs and columns."""
        return self.batches_of(self.requests(inputs, columns), batch_size)

    def requests(self, inputs: Input | Sequence[Input], columns: Mapping[str, Cell] | None = None) -> list[Request]:
        """What `inputs` names, sample by sample, not read yet."""
        are_parts = bool(self.bundle.parts)
        return read_requests(inputs, self.views, known=self.columns, columns=columns, are_parts=are_parts)

    def _requests_or_failures(
        self, inputs: Input | Sequence[Input], columns: Mapping[str, Cell] | None
    ) -> list[RequestOrFailure]:
        are_parts = bool(self.bundle.parts)
        return find_requests(inputs, self.views, known=self.columns, columns=columns, are_parts=are_parts)

    def batches_of(self, requests: Sequence[Request], batch_size: int) -> Iterator[Batch]:
        """The requests as the model takes them."""
        return (self._batch(requests[i : i + batch_size]) for i in range(0, len(requests), batch_size))

    def _answers_or_failures(self, some: Sequence[RequestOrFailure], top_k: int) -> Iterator[Prediction | Failure]:
        """In order, of one batch: what cannot be read is left out of it."""
        read: list[tuple[Request, torch.Tensor]] = []
        failed: dict[int, Failure] = {}
        for place, item in enumerate(some):
            if isinstance(item, Failure):
                failed[place] = item
                continue
            try:
                column_codes(self.bundle.columns, [(item.id, item.columns)])  # says which value is none
                read.append((item, self._views_of(item)))
            except DataError as error:
                failed[place] = Failure(item.id, str(error))
        requests, rows = [request for request, _ in read], [row for _, row in read]
        answers = iter(self._answers(self._stacked(requests, rows), top_k) if read else ())
        return iter([failed[place] if place in failed else next(answers) for place in range(len(some))])

    def _answers(self, batch: Batch, top_k: int) -> Iterator[Prediction]:
        """Of the samples of one batch."""
        outputs = run_engine(self.engine, [batch], each_view=True, embeddings=False)
        return read_predictions(outputs, self.bundle.kind, classes=self.classes, views=self.views, top_k=top_k)

    def _batch(self, requests: Sequence[Request]) -> Batch:
        return self._stacked(requests, [self._views_of(request) for request in requests])

    def _views_of(self, request: Request) -> torch.Tensor:
        """(V, C, H, W); a view that is missing is all fill."""
        if request.whole is not None:
            return torch.stack(self._parts(request, request.whole))
        geometry = self.bundle.geometry
        blank = torch.full((3, geometry.canvas_height, geometry.canvas_width), geometry.fill, dtype=torch.uint8)
        return torch.stack([self._picture(request, view, blank) for view in self.views])

    def _stacked(self, requests: Sequence[Request], rows: Sequence[torch.Tensor]) -> Batch:
        present = [[view in request.views or request.whole is not None for view in self.views] for request in requests]
        return Batch(
            images_BVCHW=torch.stack(list(rows)),
            present_BV=torch.tensor(present),
            labels_B=torch.full((len(rows),), -1),
            valid_B=torch.ones(len(rows), dtype=torch.bool),
            ids=tuple(request.id for request in requests),
            columns_BE=column_codes(self.bundle.columns, [(request.id, request.columns) for request in requests]),
        )

    def _picture(self, request: Request, view: str, blank: torch.Tensor) -> torch.Tensor:
        if view not in request.views:
            return blank
        with _named(request, request.views[view]):
            return self.bundle.geometry.apply(load_pixels(request.views[view], self.bundle.geometry.least_decode))

    def _parts(self, request: Request, picture: Picture | Stored) -> list[torch.Tensor]:
        """Every view of the one picture that holds them all."""
        geometry, parts = self.bundle.geometry, self.bundle.parts
        with _named(request, picture):
            pixels = load_pixels(picture, parts[0].enlarged(*geometry.least_decode))
        try:
            return [geometry.apply(part.of(pixels)) for part in parts]
        except PictureError as error:
            raise PictureError(f"{request.id!r} is unusable: {error}") from None


@contextmanager
def _named(request: Request, picture: Picture | Stored) -> Iterator[None]:
    """Say which picture cannot be used; a file's own error does already."""
    try:
        yield
    except PictureError as error:
        is_named = isinstance(picture, (str, Path, Stored))
        raise PictureError(str(error) if is_named else f"{request.id}: {error}") from None


def load(path: str | Path, *, device: str = "auto") -> Predictor:
    """The predictor of a run folder or bundle. DataError when it is neither or is damaged."""
    bundle, classifier = read_bundle(Path(path))
    with explained(Path(path), "try --device cpu"):
        return Predictor(bundle, classifier, device=device)
