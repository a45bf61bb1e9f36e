"""Quantised export of a run's model: measured on the run's test samples before it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from obverse import metrics
from obverse.bundle import Bundle
from obverse.cpus import num_usable_cpus
from obverse.data import PictureDataset
from obverse.engines import Outputs
from obverse.errors import DataError, RecipeError, RefusedError
from obverse.evaluation import Difference, Predictions, differences, to_predictions
from obverse.experiment import run_manifest, run_recipe
from obverse.export import (
    PRESENT,
    Arrays,
    Exact,
    File,
    Method,
    Names,
    TrainedModel,
    decoded,
    exact_and_quantised,
    require_usable,
)
from obverse.manifest import Manifest, Sample
from obverse.runs import RunFolder
from obverse.runtime import fastest_seconds

# Scales of activations hardly change with more samples than this.
NUM_CALIBRATION = 128
# Test samples, evenly spread; the paired test needs no more to see a loss of half a point.
MOST_TEST = 5000
BATCH_SIZE = 16


@dataclass(frozen=True)
class Measured:
    """An exported file with its speed on this machine and its answers to the run's test samples."""

    name: str
    num_bytes: int

    milliseconds: float
    """Median wall time of one test sample, decoding not included."""

    samples_per_second: float
    """Of batches of `BATCH_SIZE` samples of the model's input size."""

    predictions: Predictions

    def score(self, name: str) -> float:
        """A metric of the predictions; for label sets `accuracy` is subset accuracy."""
        metric = metrics.metric_of(name, label_sets=self.predictions.kind.is_set)
        return metric.value(self.predictions.labelled().outcome)


@dataclass(frozen=True)
class Quantised:
    """The exact and the quantised file of a model, and what quantisation costs."""

    before: Measured
    after: Measured

    difference: Difference | None
    """Accuracy after - before with its paired test; None where all samples are of one group."""

    @property
    def points_lost(self) -> float:
        """Percentage points of accuracy lost, negative where it is higher than before."""
        return 100 * (self.before.score("accuracy") - self.after.score("accuracy"))

    @property
    def words(self) -> str:
        """The loss of accuracy in words, with its paired test."""
        num, gain = len(self.after.predictions.labelled().ids), -self.points_lost
        text = f"accuracy {gain:+z.2f} points on {num:,} test samples"
        if self.difference is None:
            return text
        low, high = 100 * self.difference.low, 100 * self.difference.high
        p_value = metrics.p_value_words(self.difference.p_value)
        return f"{text} (95 % interval {low:+z.2f} to {high:+z.2f}; {self.difference.test}: p = {p_value})"


def export_quantised(
    path: Path,
    model: TrainedModel,
    method: Method,
    *,
    format: str = "onnx",
    max_drop: float,
    notify: Callable[[Quantised], None],
) -> None:
    """Write the quantised model of a run, unless it loses more than `max_drop` percentage points of accuracy.

    format: `onnx` or `openvino`, whose runtime measures. Activations are calibrated on train samples only. notify:
    called with the result before it is decided on.

    RefusedError, with the numbers, when too much is lost. RecipeError for a bundle without its run. DataError when its
    data is gone or has no labelled test samples. Other errors: see `require_usable`.
    """
    require_usable(path, format, method)
    run, bundle = _measured_on(model), model.bundle
    manifest = run_manifest(run, run_recipe(run), bundle)
    train, test = _spread(manifest.split("train"), NUM_CALIBRATION), _spread(manifest.split("test"), MOST_TEST)
    if not test:
        raise DataError("the run has no test samples, on which a quantised file could be measured")
    exact = Exact.of(model)
    calibration = list(_inputs(manifest, train, bundle, exact.names)) if method == "int8" else []
    files = exact_and_quantised(format, exact, bundle, method=method, calibration=calibration)
    before, after = (
        _measured(name, file, manifest, test, bundle, exact.names)
        for name, file in zip(("exact", method), files, strict=True)
    )
    name = metrics.metric_of("accuracy", label_sets=bundle.multi_label).name
    difference = differences([before.predictions], [after.predictions]).get(name)
    result = Quantised(before, after, difference)
    notify(result)
    if not result.points_lost <= max_drop:  # so that no-number refuses, too
        raise RefusedError(f"{method} loses too much, {result.words}, and --max-drop allows {max_drop:g}; nothing was "
                           "written")  # fmt: skip
    files[1].write(path)


def _measured_on(model: TrainedModel) -> RunFolder:
    """The run whose samples measure a model; of an ensemble that of a member, as all have the same test samples."""
    if model.run is not None:
        return RunFolder(model.run)
    trained = model.bundle.trained
    names = trained.get("ensemble") or trained.get("soup")
    members = [RunFolder(Path(name)) for name in names if isinstance(name, str)] if isinstance(names, list) else []
    run = next((run for run in members if run.recipe.is_file() and run.manifest.is_file()), None)
    if run is not None:
        return run
    if members:
        raise RecipeError("a quantised ensemble is measured on its members' test samples, and their run folders are "
                          f"not where they were ({str(members[0].path)!r})")  # fmt: skip
    raise RecipeError("a quantised file is measured on the run's test samples, and this is a bundle without its "
                      "run; give the run folder")  # fmt: skip


def _spread(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """At most `most` samples, evenly spread."""
    return samples[:: -(-len(samples) // most)] if len(samples) > most else samples


def _inputs(manifest: Manifest, samples: Iterable[Sample], bundle: Bundle, names: Names) -> Iterator[Arrays]:
    """The inputs of each sample, decoded as prediction does."""
    return (decoded(sample, bundle, names, manifest.store) for sample in samples)


def _measured(
    name: str, file: File, manifest: Manifest, samples: Sequence[Sample], bundle: Bundle, names: Names
) -> Measured:
    """The file in its runtime on all samples."""
    session, logits, seconds = file.session(num_threads=num_usable_cpus()), [], []
    for inputs in _inputs(manifest, samples, bundle, names):
        start = time.perf_counter()
        logits.append(session.run(inputs)["logits"])
        seconds.append(time.perf_counter() - start)
    batch = _fitted_batch(bundle, names)
    of_batch = fastest_seconds(lambda: session.run(batch))
    truth = PictureDataset(manifest, samples, bundle.geometry).truth
    ids, nothing = tuple(sample.id for sample in samples), np.empty((len(samples), 0), np.float32)
    outputs = Outputs(ids, truth, np.concatenate(logits), nothing, ())
    predictions = to_predictions(outputs, manifest, "test", bundle=bundle, embeddings=False)
    return Measured(name, file.num_bytes, 1000 * float(np.median(seconds)), BATCH_SIZE / of_batch, predictions)


def _fitted_batch(bundle: Bundle, names: Names) -> Arrays:
    """Inputs of a batch of noise at the model's input size."""
    geometry, rng = bundle.geometry, np.random.default_rng(0)
    size = (BATCH_SIZE, geometry.canvas_height, geometry.canvas_width, 3)
    arrays: Arrays = {view: rng.integers(0, 256, size, np.uint8) for view in names.views}
    return arrays | {
        name: np.ones((BATCH_SIZE, len(names.views)), np.bool_) if name == PRESENT
        else np.zeros((BATCH_SIZE, len(bundle.columns)), np.float32)
        for name in names.more_inputs
    }  # fmt: skip
