"""Predictor: a model bundle with its engine, used by the command line, Python users and services alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from obverse.bundle import Bundle, read_bundle
from obverse.data import Batch
from obverse.decisions import require_numbers
from obverse.engines import Engine, MirrorEngine, TorchEngine, build_engine, run_engine
from obverse.errors import DataError, RecipeError
from obverse.files import read_regular
from obverse.imaging import MAX_BYTES, PictureError, joint_digest
from obverse.manifest import StoredPicture
from obverse.models import Classifier
from obverse.runs import explained
from obverse.runtime import resolve_device

from .expansion import Expansion
from .inputs import find_requests
from .prediction import Prediction, read_predictions, with_similar
from .reading import Reader
from .requests import Cell, Failure, Input, Request, RequestOrFailure, Requests, Stored
from .results import BATCH_SIZE, RowOptions, Written, shard_of, write_results

if TYPE_CHECKING:  # explanation brings evaluation and reports, which prediction itself does not need
    from obverse.explain import LabelledEmbeddings

TOP_K = 3
Wanted = TypeVar("Wanted")
ADVICE = "try a smaller batch_size, or device cpu"


class Predictor:
    """Predictor of a bundle; threads may share one.

    model: the bundle's classifier, which is moved to `device`, or an engine, which already has a device.
    allow_urls: whether inputs may be http and https addresses, whose pictures are then fetched.
    among: embeddings of this very model, of which every prediction carries the `num_similar` nearest as evidence; None
    for predictions without evidence.
    """

    def __init__(
        self,
        bundle: Bundle,
        model: Classifier | Engine,
        *,
        device: str = "auto",
        allow_urls: bool = False,
        among: LabelledEmbeddings | None = None,
        num_similar: int = 3,
    ) -> None:
        self.bundle, self.among, self.num_similar = bundle, among, require_count("num_similar", num_similar)
        if isinstance(model, Classifier):
            model = TorchEngine.from_bundle(bundle, model, device=resolve_device(device))
        self.engine: Engine = model
        self.reader = Reader(bundle)
        self._expansion = Expansion(self.views, self.columns, allow_urls)

    @property
    def is_augmented(self) -> bool:
        """Whether answers are means over mirror images."""
        return isinstance(self.engine, MirrorEngine)

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
        batch_size: int = BATCH_SIZE,
        embeddings: bool = False,
    ) -> list[Prediction]:
        """Predictions for one or many samples, in order.

        inputs: a path of a picture, folder, archive, table or list of pictures, or a pattern of paths such as
        `data/**/*.jpg`; a PIL image; the bytes of a picture file, or the file opened with "rb"; a uint8 array
        (height, width[, 3 or 4]); a dict view -> picture, which may also have values of extra columns; or a sequence
        of these.
        columns: values of extra columns for samples that have none of their own.
        top_k: number of classes in `Prediction.top`, by default 3; a multi-label model gives all.
        batch_size: samples per forward pass. embeddings: whether predictions have their `embedding`.

        DataError, naming the picture, when one cannot be used; `predict_each` continues instead. RecipeError when
        top_k or batch_size is invalid.
        """
        batches = self.answers(
            self.requests(inputs, columns), top_k=top_k, batch_size=batch_size, embeddings=embeddings
        )
        return [_required(answer) for answers in batches for answer in answers]

    def predict_each(
        self,
        inputs: Input | Sequence[Input],
        *,
        columns: Mapping[str, Cell] | None = None,
        top_k: int | None = None,
        batch_size: int = BATCH_SIZE,
        shard: str = "",
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Prediction | Failure]:
        """Yield a prediction for each sample, in order, or a `Failure` for an input that cannot be used.

        shard: number and count, such as `1/4` for the first quarter of the samples; empty for all. progress: called
        with the numbers of finished and of all samples after every batch. Other arguments: see `predict`.
        """
        items = shard_of(self.find(inputs, columns), shard, batch_size=require_count("batch_size", batch_size))
        return self.each(items, top_k=top_k, batch_size=batch_size, progress=progress)

    def each(
        self,
        items: Sequence[RequestOrFailure],
        *,
        top_k: int | None = None,
        batch_size: int = BATCH_SIZE,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Prediction | Failure]:
        """Yield the prediction or the failure of each of `items` (`find`). Arguments: see `predict_each`."""
        batches = self.answers(items, top_k=top_k, batch_size=batch_size)

        def answers() -> Iterator[Prediction | Failure]:
            done = 0
            for of_batch in batches:
                yield from of_batch
                done += len(of_batch)
                progress(done, len(items))

        return answers()

    def predict_to(
        self,
        inputs: Input | Sequence[Input],
        out: str | Path,
        *,
        columns: Mapping[str, Cell] | None = None,
        top_k: int | None = None,
        batch_size: int = BATCH_SIZE,
        shard: str = "",
    ) -> Written:
        """Write a row for each sample to a new file, in order; an input that cannot be used is a row with its error.

        A call that was killed is continued by the same call. Pictures that are given in memory are known by their place
        alone: give the same ones again.

        out: a path that ends in .csv, .jsonl or .parquet. Other arguments: see `predict` and `predict_each`.

        OutputError when the file exists, or was begun with another model, other inputs or other arguments.
        """
        options = RowOptions(self.num_top(top_k), require_count("batch_size", batch_size), part=shard)
        return write_results(self, self.find(inputs, columns), Path(out), options=options)

    def answers(
        self,
        items: Sequence[RequestOrFailure],
        *,
        top_k: int | None = None,
        batch_size: int = BATCH_SIZE,
        embeddings: bool = False,
    ) -> Iterator[list[Prediction | Failure]]:
        """Yield the predictions and failures of each batch of `items` (`find`), in order.

        Arguments: see `predict`. RecipeError at the call when top_k or batch_size is invalid.
        """
        num_top, batch_size = self.num_top(top_k), require_count("batch_size", batch_size)

        def batches() -> Iterator[list[Prediction | Failure]]:
            with explained(Path(), ADVICE):
                for read in self.reader.batches(items, batch_size):
                    batch = read.batch
                    answers = iter(self.answered(batch, top_k=num_top, embeddings=embeddings) if batch else ())
                    yield [read.failures.get(place) or next(answers) for place in range(len(read.items))]

        return batches()

    def embed(
        self,
        inputs: Input | Sequence[Input],
        *,
        columns: Mapping[str, Cell] | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> npt.NDArray[np.float32]:
        """Embeddings (N, D) of N samples, in order: fused features of all views, the input of the head.

        Arguments and errors: see `predict`.
        """
        require_count("batch_size", batch_size)
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
        """Requests for all samples in `inputs`; their pictures are not read yet. inputs, columns: see `predict`.

        DataError for the first input that cannot be used.
        """
        return [_required(item) for item in self.find(inputs, columns)]

    def find(self, inputs: Input | Sequence[Input], columns: Mapping[str, Cell] | None = None) -> Requests:
        """Requests for all samples in `inputs`, and failures for inputs that cannot be used. Arguments: see `predict`.

        A file takes the memory of its path, until its request is asked for.
        """
        return find_requests(inputs, self._expansion, columns=columns, are_parts=bool(self.bundle.parts))

    def find_in_every_view(self, inputs: Input | Sequence[Input]) -> Sequence[RequestOrFailure]:
        """Requests, or failures, for single pictures of any kind, each standing for every view that the model has."""
        if len(self.views) == 1 or self.bundle.parts:
            return self.find(inputs)
        return [
            item if isinstance(item, Failure) else replace(item, views=dict.fromkeys(self.views, item.views["image"]))
            for item in find_requests(inputs, Expansion(("image",)))
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

    def batches_of(self, requests: Sequence[Request], batch_size: int) -> Iterator[Batch]:
        """Yield batches of the requests. DataError for the first one that cannot be read."""
        for read in self.reader.batches(requests, batch_size):
            for failure in read.failures.values():
                _required(failure)
            assert read.batch is not None
            yield read.batch

    def readable_batches(
        self, items: Sequence[RequestOrFailure], batch_size: int, failures: list[Failure]
    ) -> Iterator[Batch]:
        """Yield batches of the requests that can be read, and append the failures of each batch to `failures`."""
        for read in self.reader.batches(items, batch_size):
            failures += read.failures.values()
            if read.batch is not None:
                yield read.batch

    def num_top(self, top_k: int | None) -> int:
        """Number of classes in `Prediction.top`: `top_k`, or by default 3. RecipeError when it is invalid."""
        if top_k is not None and self.bundle.kind.is_set:
            raise RecipeError("top_k is for models that give one class; this one gives every class above its threshold")
        return require_count("top_k", TOP_K if top_k is None else top_k)

    def answered(self, batch: Batch, *, top_k: int, embeddings: bool = False) -> Iterator[Prediction]:
        """Predictions for the samples of one batch. Arguments: see `predict`."""
        has_score = self.bundle.output.outliers is not None and self.bundle.detector is not None
        needs_embeddings = has_score or embeddings or self.among is not None
        outputs = run_engine(self.engine, [batch], each_view=True, embeddings=needs_embeddings)
        predictions = read_predictions(
            outputs,
            self.bundle.kind,
            classes=self.classes,
            views=self.views,
            top_k=top_k,
            rule=self.bundle.output,
            detector=self.bundle.detector,
        )
        if self.among is not None:
            predictions = with_similar(predictions, outputs.embeddings_ND, self.among, self.num_similar)
        if not embeddings:
            return predictions
        pairs = zip(predictions, outputs.embeddings_ND, strict=True)
        return (replace(prediction, embedding=tuple(embedding_D.tolist())) for prediction, embedding_D in pairs)


def _required(item: Wanted | Failure) -> Wanted:
    """What is no failure. DataError, with its sentence, for a failure."""
    if isinstance(item, Failure):
        raise DataError(item.error)
    return item


def require_count(name: str, value: int) -> int:
    """The value as an int. RecipeError when it is no whole number of at least 1."""
    try:
        count = index(value)  # numpy's integers, too
    except TypeError:
        count = 0
    if count < 1:
        raise RecipeError(f"{name} must be a whole number of at least 1, not {value!r}")
    return count


def load(
    path: str | Path,
    *,
    device: str = "auto",
    allow_urls: bool = False,
    engine: str = "torch",
    tta: bool = False,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Predictor:
    """The predictor of a run folder or bundle.

    device: `auto`, or a device of torch such as `cpu` or `cuda:0`. allow_urls: see `Predictor`.
    engine: torch, onnx or openvino, which give equal answers, or `auto`: the fastest one that is installed, measured
    once on this machine. notify: called with a sentence on that choice. tta: test-time augmentation, whether answers
    are the mean over every picture and its mirror image, for twice the time.

    RecipeError for `tta` of a model that was not trained with mirrored pictures. DataError when the path is neither a
    finished run nor a bundle, or the bundle is damaged.
    """
    bundle, classifier = read_bundle(Path(path))
    with explained(Path(path), "try --device cpu"):
        built = build_engine(engine, bundle, classifier, device=resolve_device(device), notify=notify)
        built = MirrorEngine.of(built, bundle) if tta else built
        return Predictor(bundle, built, allow_urls=allow_urls)
