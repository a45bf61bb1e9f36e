"""Samples that only one of two sides has right, the clearest changes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obverse.evaluation import Predictions
from obverse.metrics import FloatArray


@dataclass(frozen=True)
class Changed:
    """A sample that only one side has right."""

    id: str
    label: str
    base: str
    """The answer of the first side; of several seeds, the most frequent one."""

    base_confidence: float
    """Probability of that answer, the mean over seeds; of a label set, of being right in each of its decisions."""

    other: str
    other_confidence: float


def changed(base: Sequence[Predictions], other: Sequence[Predictions]) -> tuple[list[Changed], list[Changed]]:
    """Samples that only `other` has right, and samples that only `base` has right.

    A side of several seeds has a sample right when more than half of its runs have. First come, of ordered classes, the
    mistakes by most steps, then the largest changes in the probability of the true label.
    """
    right_N, base_right_N = _is_right(other), _is_right(base)
    order_N = np.lexsort((-np.abs(_of_truth(other) - _of_truth(base)), -_steps(base, other)))
    lists: list[list[Changed]] = []
    for rows_N in (right_N & ~base_right_N, base_right_N & ~right_N):
        lists.append([_sample(base, other, row) for row in order_N.tolist() if rows_N[row]])
    return lists[0], lists[1]


def _is_right(side: Sequence[Predictions]) -> npt.NDArray[np.bool_]:
    right_N: npt.NDArray[np.bool_] = np.mean([run.is_right_N for run in side], axis=0) > 0.5
    return right_N


def _of_truth(side: Sequence[Predictions]) -> FloatArray:
    """Probability of the true label (N), of label sets the mean over classes; the mean over seeds."""
    if side[0].kind.is_set:
        per_run = [np.where(run.truth, run.probabilities_NK, 1 - run.probabilities_NK).mean(axis=1) for run in side]
    else:
        per_run = [run.probabilities_NK[np.arange(len(run.ids)), run.truth] for run in side]
    mean_N: FloatArray = np.mean(per_run, axis=0, dtype=np.float64)
    return mean_N


def _steps(base: Sequence[Predictions], other: Sequence[Predictions]) -> FloatArray:
    """Steps by which the worse side is off (N), for ordered classes; 0 for others."""
    if not base[0].kind.ordered:
        return np.zeros(len(base[0].ids))
    off = [np.mean([np.abs(run.answers - run.truth) for run in side], axis=0) for side in (base, other)]
    steps_N: FloatArray = np.maximum(*off)
    return steps_N


def _sample(base: Sequence[Predictions], other: Sequence[Predictions], row: int) -> Changed:
    return Changed(base[0].ids[row], _name(base[0], base[0].truth[row]), *_answer(base, row), *_answer(other, row))


def _answer(side: Sequence[Predictions], row: int) -> tuple[str, float]:
    """The answer to a sample and its probability."""
    names = [_name(run, run.answers[row]) for run in side]
    name = Counter(names).most_common(1)[0][0]
    run = side[names.index(name)]
    mean_K: FloatArray = np.stack([each.probabilities_NK[row] for each in side]).mean(axis=0, dtype=np.float64)
    if run.kind.is_set:
        return name, float(np.where(run.answers[row], mean_K, 1 - mean_K).mean())
    return name, float(mean_K[run.answers[row]])


def _name(run: Predictions, answer: npt.NDArray[np.generic] | np.generic) -> str:
    """A label, or a label set, in words."""
    if run.kind.is_set:
        return ", ".join(run.classes[k] for k in np.flatnonzero(answer)) or "none"
    return run.classes[int(answer)]
