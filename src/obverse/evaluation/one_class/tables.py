"""CSV tables and plot of an evaluation with one class per sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from obverse import metrics
from obverse.evaluation.cells import with_columns
from obverse.evaluation.plots import plot_confusion
from obverse.evaluation.predictions import Predictions

from .measure import class_scores_of, confusion_of, find_disagreements, own_grades_of, steps_apart

CONFUSION_PNG = "confusion_matrix.png"


def result_rows(predictions: Predictions) -> Iterable[Sequence[object]]:
    """Rows of results.csv: the scores of each class."""
    labelled = predictions.labelled()
    scores = class_scores_of(labelled)
    header = ("class", "precision", "recall", "f1", "support", "predicted")
    values = (scores.precision_K, scores.recall_K, scores.f1_K, scores.support_K, scores.predicted_K)
    rows = zip(predictions.classes, *(column.tolist() for column in values), strict=True)
    return with_columns([header, *rows], metrics.class_scores_of(labelled.outcome))


def view_rows(predictions: Predictions) -> Iterable[Sequence[object]]:
    """Rows of views.csv: per sample the class from each view, and whether views disagree.

    A missing view is an empty cell.
    """
    names = (*predictions.classes, "")  # index -1 (unknown or missing) gives the empty string
    columns = [predictions.truth, predictions.answers]
    columns += [predictions.view_answers(view) for view in predictions.view_probabilities]
    columns += list(own_grades_of(predictions)) if predictions.view_grades else []
    ends = {"disagree": ["yes" if value else "no" for value in find_disagreements(predictions).tolist()]}
    if predictions.kind.ordered:
        ends["steps apart"] = steps_apart(predictions).tolist()
    cells = ([names[index] for index in column.tolist()] for column in columns)
    given = [f"{view} alone" for view in predictions.view_probabilities]
    given += [f"{view} by its own head" for view in predictions.view_grades]
    header = ("id", "label", "predicted", *given, *ends)
    return [header, *zip(predictions.ids, *cells, *ends.values(), strict=True)]


def plots(predictions: Predictions, folder: Path) -> dict[str, Path]:
    """Name -> file of each plot, drawn into `folder`."""
    plot_confusion(confusion_of(predictions.labelled()), predictions.classes, folder / CONFUSION_PNG)
    return {"confusion": folder / CONFUSION_PNG}
