"""Predictor: a model bundle with its engine, used by the command line, Python users and services alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle, read_bundle
from obverse.data import Batch, column_codes
from obverse.decisions import require_numbers
from obverse.engines import Engine, TorchEngine, run_engine
from obverse.errors import DataError, RecipeError
from obverse.files import read_regular
from obverse.imaging import MAX_BYTES, PictureError, joint_digest
from obverse.manifest import StoredPicture
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
from .prediction import Prediction, read_predictions, with_similar

if TYPE_CHECKING:  # explanation brings evaluation and reports, which prediction itself does not need
    from obverse.explain import LabelledEmbeddings

TOP_K = 3
ADVICE = "try a smaller batch_size, or device cpu"


class Predictor:
    """Predictor of a bundle; threads may share one.

    model: the bundle's classifier, which is moved to `device`, or an engine, which already has a device.
    among: embeddings of this very model, of which every prediction carries the `num_similar` nearest as evidence; None
    for predictions without evidence.
    """

    def __init__(
        self,
        bundle: Bundle,
        model: Classifier | Engine,
        *,
        device: str = "auto",
        among: LabelledEmbeddings | None = None,
        num_similar: int = 3,
    ) -> None:
        self.bundle, self.among, self.num_similar = bundle, among, _require_count("num_similar", num_similar)
        if isinstance(model, Classifier):
            model = TorchEngine.from_bundle(bundle, model, device=resolve_device(device))
        self.engine: Engine = model

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.bundle.classes

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the model's views."""
        return self.bundle.views

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the extra columns that the model sees; each value may be missing."""
        return tuple(column.name for column in self.bundle.columns)

    def predict(
        self,
        inputs: Input | Sequence[Input],
        *,
        columns: Mapping[str, Cell] | None = None,
        top_k: int | None = None,
        batch_size: int = 16,
    ) -> list[Prediction]:
        """Predictions for one or many samples, in order.

        inputs: a path of a picture, folder, archive, table or list of pictures; a PIL image; the bytes of a picture
        file, or the file opened with "rb"; a uint8 array (height, width[, 3 or 4]); a dict view -> picture, which may
        also have values of extra columns; or a sequence of these.
        columns: values of extra columns for samples that have none of their own.
        top_k: number of classes in `Prediction.top`, by default 3; a multi-label model gives all.
        batch_size: samples per forward pass.

        DataError, naming the picture, when one cannot be used; `predict_each` continues instead. RecipeError when
        top_k or batch_size is invalid.
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
        """Yield a prediction for each sample, in order, or a `Failure` for an input that cannot be used.

        progress: called with the numbers of finished and of all samples after every batch. Other arguments: see
        `predict`.
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
        _require_count("batch_size", batch_size)
        return _require_count("top_k", TOP_K if top_k is None else top_k)

    def embed(
        self, inputs: Input | Sequence[Input], *, columns: Mapping[str, Cell] | None = None, batch_size: int = 16
    ) -> npt.NDArray[np.float32]:
        """Embeddings (N, D) of N samples, in order: fused features of all views, the input of the head.

        Arguments and errors: see `predict`.
        """
        _require_count("batch_size", batch_size)
        with explained(Path(), ADVICE):
            batches = self.batches(inputs, batch_size, columns=columns)
            outputs = run_engine(self.engine, batches)
        require_numbers(outputs.embeddings_ND, outputs.ids)
        return outputs.embeddings_ND

    def batches(
        self, inputs: Input | Sequence[Input], batch_size: int, *, columns: Mapping[str, Cell] | None = None
    ) -> Iterator[Batch]:
        """Yield batches of the samples in `inputs`. inputs, columns: see `predict`."""
        return self.batches_of(self.requests(inputs, columns), batch_size)

    def requests(self, inputs: Input | Sequence[Input], columns: Mapping[str, Cell] | None = None) -> list[Request]:
        """Requests for all samples in `inputs`; their pictures are not read yet. inputs, columns: see `predict`."""
        are_parts = bool(self.bundle.parts)
        return read_requests(inputs, self.views, known=self.columns, columns=columns, are_parts=are_parts)

    def find_in_every_view(self, inputs: Input | Sequence[Input]) -> list[RequestOrFailure]:
        """Requests, or failures, for single pictures of any kind, each standing for every view that the model has."""
        if len(self.views) == 1 or self.bundle.parts:
            return self._requests_or_failures(inputs, None)
        return [
            item if isinstance(item, Failure) else replace(item, views=dict.fromkeys(self.views, item.views["image"]))
            for item in find_requests(inputs, ("image",))
        ]

    def digest(self, request: Request) -> str | None:
        """The digest of a request of one stored picture, as a manifest has it; None where it cannot be read."""
        picture = request.whole or next(iter(request.views.values()))
        try:
            if isinstance(picture, Stored):
                stored = picture.store.read(picture.locator)
            else:
                assert isinstance(picture, (str, Path))
                stored = StoredPicture(read_regular(picture, max_bytes=MAX_BYTES))
        except (PictureError, OSError, ValueError):
            return None
        if not self.bundle.parts:
            return joint_digest([stored.digest()])
        return joint_digest(replace(stored, part=part).digest() for part in self.bundle.parts)

    def _requests_or_failures(
        self, inputs: Input | Sequence[Input], columns: Mapping[str, Cell] | None
    ) -> list[RequestOrFailure]:
        are_parts = bool(self.bundle.parts)
        return find_requests(inputs, self.views, known=self.columns, columns=columns, are_parts=are_parts)

    def batches_of(self, requests: Sequence[Request], batch_size: int) -> Iterator[Batch]:
        """Yield batches of the requests."""
        return (self._batch(requests[i : i + batch_size]) for i in range(0, len(requests), batch_size))

    def readable_batches(
        self, items: Sequence[RequestOrFailure], batch_size: int, failures: list[Failure]
    ) -> Iterator[Batch]:
        """Yield batches of the requests that can be read, and append the failures of each batch to `failures`."""
        for start in range(0, len(items), batch_size):
            read, failed = self._read(items[start : start + batch_size])
            failures += failed.values()
            if read:
                yield self._stacked([request for request, _ in read], [views for _, views in read])

    def _answers_or_failures(self, some: Sequence[RequestOrFailure], top_k: int) -> Iterator[Prediction | Failure]:
        """Predictions and failures of one batch, in order; requests that cannot be read are not in the batch."""
        read, failed = self._read(some)
        requests, rows = [request for request, _ in read], [row for _, row in read]
        answers = iter(self._answers(self._stacked(requests, rows), top_k) if read else ())
        return iter([failed[place] if place in failed else next(answers) for place in range(len(some))])

    def _read(self, some: Sequence[RequestOrFailure]) -> tuple[list[tuple[Request, torch.Tensor]], dict[int, Failure]]:
        """The requests that can be read with their views, and place -> failure of the others."""
        read: list[tuple[Request, torch.Tensor]] = []
        failed: dict[int, Failure] = {}
        for place, item in enumerate(some):
            if isinstance(item, Failure):
                failed[place] = item
                continue
            try:
                column_codes(self.bundle.columns, [(item.id, item.columns)])  # raises DataError for a bad value
                read.append((item, self._views_of(item)))
            except DataError as error:
                failed[place] = Failure(item.id, str(error))
        return read, failed

    def _answers(self, batch: Batch, top_k: int) -> Iterator[Prediction]:
        """Predictions for the samples of one batch."""
        has_score = self.bundle.output.outliers is not None and self.bundle.detector is not None
        needs_embeddings = has_score or self.among is not None
        outputs = run_engine(self.engine, [batch], each_view=True, embeddings=needs_embeddings)
        answers = read_predictions(
            outputs,
            self.bundle.kind,
            classes=self.classes,
            views=self.views,
            top_k=top_k,
            rule=self.bundle.output,
            detector=self.bundle.detector,
        )
        if self.among is None:
            return answers
        return with_similar(answers, outputs.embeddings_ND, self.among, self.num_similar)

    def _batch(self, requests: Sequence[Request]) -> Batch:
        return self._stacked(requests, [self._views_of(request) for request in requests])

    def _views_of(self, request: Request) -> torch.Tensor:
        """Views of a request (V, C, H, W); a missing view has the fill value everywhere."""
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
        """All views (C, H, W each) of a picture of which they are parts."""
        geometry, parts = self.bundle.geometry, self.bundle.parts
        with _named(request, picture):
            pixels = load_pixels(picture, parts[0].enlarged(*geometry.least_decode))
        try:
            return [geometry.apply(part.of(pixels)) for part in parts]
        except PictureError as error:
            raise PictureError(f"{request.id!r} is unusable: {error}") from None


def _require_count(name: str, value: int) -> int:
    try:
        count = index(value)  # numpy's integers, too
    except TypeError:
        count = 0
    if count < 1:
        raise RecipeError(f"{name} must be a whole number of at least 1, not {value!r}")
    return count


@contextmanager
def _named(request: Request, picture: Picture | Stored) -> Iterator[None]:
    """Add the request's name to a PictureError, unless the picture is a file, whose errors name it."""
    try:
        yield
    except PictureError as error:
        is_named = isinstance(picture, (str, Path, Stored))
        raise PictureError(str(error) if is_named else f"{request.id}: {error}") from None


def load(path: str | Path, *, device: str = "auto") -> Predictor:
    """The predictor of a run folder or bundle.

    device: `auto`, or a device of torch such as `cpu` or `cuda:0`.

    DataError when the path is neither a finished run nor a bundle, or the bundle is damaged.
    """
    bundle, classifier = read_bundle(Path(path))
    with explained(Path(path), "try --device cpu"):
        return Predictor(bundle, classifier, device=device)
