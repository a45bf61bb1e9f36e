"""Measurements of a run, read from its evaluation: the headline metric, and one value per sample for paired tests."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.errors import DataError
from obverse.files import open_regular, read_json, read_json_object
from obverse.metrics import FloatArray, LabelSets, Metric, Units, compared
from obverse.staging import require_whole

# Splits by which runs are ranked, the first that a run has. Folds pool what was left out of each.
SPLITS = ("test", "val", "out-of-fold")
READ = ("metrics.json", "names.json", "ids.json", "true_labels.npy", "predictions.npy", "probabilities.npy")
AGAIN = "run `obverse evaluate` again"


@dataclass(frozen=True)
class Measured:
    """The headline metric of an evaluation."""

    folder: Path
    split: str
    metric: Metric
    label_sets: bool
    value: float
    low: float | None
    high: float | None
    no_interval: str
    num_samples: int | None


@dataclass(frozen=True, eq=False)
class Answers:
    """The samples of an evaluation, with the value of each in a metric that is a mean over samples."""

    ids: tuple[str, ...]
    truth: npt.NDArray[Any]
    """Label of each sample as class name (N), or which classes it has (N, K)."""

    values_N: FloatArray | None
    """Value of each sample (N), whose mean is the metric; None where there are too few samples for a test."""

    units: Units
    untested: str = ""
    """Why there are no values."""

    def of(self, ids: tuple[str, ...]) -> FloatArray:
        """The values, which must exist, in another order of the same samples."""
        assert self.values_N is not None
        place = {name: row for row, name in enumerate(self.ids)}
        ordered_N: FloatArray = self.values_N[[place[name] for name in ids]]
        return ordered_N


def read_measured(path: Path, splits: tuple[str, ...] = SPLITS) -> Measured | None:
    """The headline metric of the first of `splits` that was evaluated; None where none was.

    Raises DataError when the file is damaged or has no metric that is known.
    """
    folder = next(
        (path / "evaluation" / s for s in splits if (path / "evaluation" / s / "metrics.json").exists()), None
    )
    if folder is None:
        return None
    missing = [name for name in READ if not (folder / name).exists()]
    if missing:
        raise DataError(f"{', '.join(missing)} of evaluation/{folder.name} is missing; {AGAIN}")
    require_whole(folder, only=READ)
    values = read_json_object(folder / "metrics.json")
    label_sets = values.get("labels") == "multi"
    for metric in compared(label_sets=label_sets):
        # A metric that the labels do not define is null: the next one ranks. Anything else that is no value is damage.
        estimate = None if metric.block else values.get(metric.key or metric.name)
        if estimate is None:
            continue
        value, low, high = _values_of(estimate, metric, folder)
        num = values.get("num_samples")
        why = str(estimate.get("reason") or "") if low is None else ""
        return Measured(
            folder, folder.name, metric, label_sets, value, low, high, why, num if isinstance(num, int) else None
        )
    raise DataError(f"{str(folder / 'metrics.json')!r} has no metric that this version knows; {AGAIN}")


def _values_of(estimate: Any, metric: Metric, folder: Path) -> tuple[float, float | None, float | None]:
    """Value and ends of the interval of a metric. Raises DataError for what the metric cannot be."""
    parts: list[Any] = (
        [estimate.get(key) for key in ("value", "low", "high")] if isinstance(estimate, dict) else [estimate]
    )
    for value in parts if parts[-1] is not None else parts[:1]:
        if not is_number(value) or not metric.possible[0] <= value <= metric.possible[1]:
            raise DataError(
                f"evaluation/{folder.name}/metrics.json gives {metric.title} as {str(value)[:40]!r}, "
                f"which it cannot be; {AGAIN}"
            )
    value, low, high = parts
    return float(value), low, high


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def read_answers(measured: Measured) -> Answers:
    """The labelled samples of an evaluation. Raises DataError when its files are damaged or do not belong together."""
    folder = measured.folder
    try:
        classes = [str(name) for name in read_json_object(folder / "names.json")["classes"]]
        ids = [str(name) for name in read_json(folder / "ids.json")]
        truth, given, probabilities_NK = (_array(folder / name) for name in READ[3:])
        groups = read_json(folder / "groups.json") if (folder / "groups.json").exists() else None
        _require(len(truth) == len(given) == len(ids) == len(set(ids)), folder)
        _require(probabilities_NK.shape == (len(ids), len(classes)), folder)
        _require(groups is None or len(groups) == len(ids), folder)
        units = Units.alone(len(ids)) if groups is None else Units.of_groups(groups)
        if measured.label_sets:
            sets = LabelSets(truth.astype(bool), given.astype(bool), probabilities_NK, units)
            return _of_sets(measured, classes, ids, sets)
        known_N = truth >= 0
        names_N = np.array(classes, dtype=object)[truth[known_N]]
        hits_N = (truth == given)[known_N].astype(np.float64)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, AttributeError):
        raise DataError(f"the predictions in evaluation/{folder.name} do not fit together; {AGAIN}") from None
    return Answers(tuple(np.array(ids, dtype=object)[known_N]), names_N, hits_N, units.take(known_N))


def _of_sets(measured: Measured, classes: list[str], ids: list[str], outcome: LabelSets) -> Answers:
    _require(outcome.truth_NK.shape == outcome.answers_NK.shape == (len(ids), len(classes)), measured.folder)
    measure = measured.metric.measure_for(outcome)
    why = measure.too_few(outcome) if measure.too_few else ""
    if measure.of_samples is None:
        why = f"{measured.metric.title} is not a mean over samples"
    values_N = measure.of_samples(outcome) if measure.of_samples and not why else None
    names_NK = outcome.truth_NK[:, np.argsort(np.array(classes))]
    return Answers(tuple(ids), names_NK, values_N, outcome.units, why and f"not tested: {why}")


def _array(path: Path) -> npt.NDArray[Any]:
    try:
        with open_regular(path) as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except OSError as error:
        raise DataError(f"evaluation/{path.parent.name}/{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, EOFError):
        raise DataError(f"evaluation/{path.parent.name}/{path.name} is cut or holds no array; {AGAIN}") from None


def _require(holds: bool, folder: Path) -> None:
    if not holds:
        raise DataError(f"evaluation/{folder.name} holds predictions of different lengths; {AGAIN}")


def digest_of(answers: Answers) -> str:
    """Digest of ids and labels, whatever their order: runs with the same one were measured on the same samples."""
    order = sorted(range(len(answers.ids)), key=answers.ids.__getitem__)
    pairs = [[answers.ids[row], np.asarray(answers.truth[row]).tolist()] for row in order]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
