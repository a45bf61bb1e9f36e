"""CSV tables of an evaluation of multi-label data. A confusion matrix needs one class per sample, so there is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from obverse import metrics
from obverse.evaluation.cells import with_columns
from obverse.evaluation.predictions import Predictions

from .measure import thresholds_of


def result_rows(predictions: Predictions) -> Iterable[Sequence[object]]:
    """Rows of results.csv: the scores of each class, and its threshold."""
    scores, columns = (
        metrics.set_scores(predictions.truth, predictions.answers),
        metrics.class_scores_of(predictions.outcome),
    )
    precision_K = columns.pop("average_precision")
    header = ("class", "precision", "recall", "f1", "average_precision", "threshold", "support", "predicted")
    known = ["" if np.isnan(value) else value for value in precision_K.tolist()]
    scored = (column.tolist() for column in (scores.precision_K, scores.recall_K, scores.f1_K))
    counted = (column.tolist() for column in (scores.support_K, scores.predicted_K))
    rows = zip(predictions.classes, *scored, known, thresholds_of(predictions).tolist(), *counted, strict=True)
    return with_columns([header, *rows], columns)


def view_rows(predictions: Predictions) -> Iterable[Sequence[object]]:
    """Rows of views.csv: per sample its label set, the answer, and the answer from each view alone.

    An empty set is an empty cell.
    """

    def cells(answers_NK: npt.NDArray[np.bool_]) -> list[str]:
        return ["|".join(itertools.compress(predictions.classes, row)) for row in answers_NK.tolist()]

    of_views = [predictions.view_answers(view) for view in predictions.view_probabilities]
    columns = map(cells, [predictions.truth, predictions.answers, *of_views])
    header = ("id", "labels", "predicted", *(f"{view} alone" for view in predictions.view_probabilities))
    return [header, *zip(predictions.ids, *columns, strict=True)]


def plots(predictions: Predictions, folder: Path) -> dict[str, Path]:
    """No plots: an empty dictionary."""
    return {}
