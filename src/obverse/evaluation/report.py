"""One evaluation as files: numbers for programs, pages for people.

    FOLDER/
      predictions.npy true_labels.npy probabilities.npy ids.json names.json ...   see `obverse.evaluation.predictions`
      results.csv           class, precision, recall, f1, support, predicted, and metrics against the rest
      views.csv             per sample the class by every view alone, and by its own head; only with views
      metrics.json          `Metrics`
      confusion_matrix.png
      summary.md            the sections as Markdown
      report.html           the same with its pictures inside: one file, no script, nothing fetched

Of multi-label data (`write_set_evaluation`): results.csv has average_precision and threshold too, views.csv holds label
sets, and there is no confusion matrix, which needs one label per sample.

Names of classes and samples come from folders and may hold anything: CSV and JSON keep them, pages show them escaped.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from obverse import metrics
from obverse.errors import DataError
from obverse.evaluation.label_sets.measure import SetMetrics, answers_of_sets, measure_sets
from obverse.evaluation.label_sets.sections import set_sections
from obverse.evaluation.one_class.measure import Metrics, answers_of, find_disagreements, measure, steps_apart
from obverse.evaluation.one_class.sections import report_sections
from obverse.metrics import ClassScores
from obverse.report import Page, Section, to_html, to_markdown

from .diagnosis import Diagnosis
from .plots import plot_confusion
from .predictions import Predictions, create_folder
from .seen import Seen
from .set_predictions import SetPredictions

CONFUSION_PNG = "confusion_matrix.png"
NEW_SAMPLES = Seen()
# Results as they were called when no list of them was kept (`obverse.staging`).
EARLIER = (
    *("predictions.npy", "true_labels.npy", "probabilities.npy", "ids.json", "names.json", "embeddings.npy"),
    *("view_probabilities.npz", "view_grades.npz", "results.csv", "views.csv", "metrics.json", CONFUSION_PNG),
    *("groups.json", "summary.md", "report.html"),
)


def write_evaluation(
    folder: Path,
    predictions: Predictions,
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis] = (),
    history_png: Path | None = None,
    more: Sequence[Section] = (),
    seen: Seen = NEW_SAMPLES,
) -> Metrics:
    """Measure and write everything above into `folder`; `facts` are shown as they come (model, best epoch, time).

    more: sections of the caller's own. seen: what the model knows of the samples.
    """
    if history_png is not None and not history_png.is_file():
        raise DataError(f"the training curves {history_png} do not exist")
    measured = replace(measure(predictions), seen=seen)
    labelled = predictions.take(predictions.labels_N >= 0)
    confusion_KK = metrics.confusion_matrix(
        labelled.labels_N, labelled.predictions_N, num_classes=len(predictions.classes)
    )
    scores = metrics.class_scores(confusion_KK)
    create_folder(folder)
    predictions.write(folder)
    plot_confusion(confusion_KK, predictions.classes, folder / CONFUSION_PNG)
    rows = _result_rows(predictions.classes, scores)
    _write_csv(folder / "results.csv", _with_columns(rows, metrics.class_scores_of(answers_of(labelled))))
    _write_views(folder / "views.csv", predictions)
    _write(folder / "metrics.json", json.dumps(measured.as_json(), indent=2, allow_nan=False) + "\n")
    *sections, classes = report_sections(
        predictions,
        measured,
        scores,
        facts=facts,
        diagnoses=diagnoses,
        confusion_png=folder / CONFUSION_PNG,
        history_png=history_png,
    )
    _write_pages(folder, predictions.split, [*sections, *more, classes])
    return measured


def write_set_evaluation(
    folder: Path,
    predictions: SetPredictions,
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis] = (),
    history_png: Path | None = None,
    more: Sequence[Section] = (),
    seen: Seen = NEW_SAMPLES,
) -> SetMetrics:
    """`write_evaluation` of multi-label data."""
    if history_png is not None and not history_png.is_file():
        raise DataError(f"the training curves {history_png} do not exist")
    measured = replace(measure_sets(predictions), seen=seen)
    scores = metrics.set_scores(predictions.label_sets_NK, predictions.answers_NK)
    create_folder(folder)
    (folder / CONFUSION_PNG).unlink(missing_ok=True)
    predictions.write(folder)
    columns = metrics.class_scores_of(answers_of_sets(predictions))
    precision_K = columns.pop("average_precision")
    rows = _set_result_rows(predictions, scores, precision_K)
    _write_csv(folder / "results.csv", _with_columns(rows, columns))
    _write_set_views(folder / "views.csv", predictions)
    _write(folder / "metrics.json", json.dumps(measured.as_json(), indent=2, allow_nan=False) + "\n")
    *sections, classes = set_sections(
        predictions, measured, scores, precision_K, facts=facts, diagnoses=diagnoses, history_png=history_png
    )
    _write_pages(folder, predictions.split, [*sections, *more, classes])
    return measured


def _write_pages(folder: Path, split: str, sections: Sequence[Section]) -> None:
    page = Page(f"Evaluation on {split}", tuple(sections))
    _write(folder / "summary.md", to_markdown(page, folder))
    _write(folder / "report.html", to_html(page))


def _result_rows(classes: Sequence[str], scores: ClassScores) -> Iterable[Sequence[object]]:
    yield "class", "precision", "recall", "f1", "support", "predicted"
    values = (scores.precision_K, scores.recall_K, scores.f1_K, scores.support_K, scores.predicted_K)
    yield from zip(classes, *(column.tolist() for column in values), strict=True)


def _with_columns(
    rows: Iterable[Sequence[object]], columns: dict[str, npt.NDArray[np.float64]]
) -> Iterable[Sequence[object]]:
    """A cell is empty where the score is not defined for that class."""
    header, *body = rows
    yield *header, *columns
    cells = [["" if np.isnan(value) else value for value in column.tolist()] for column in columns.values()]
    yield from ((*row, *more) for row, *more in zip(body, *cells, strict=True))


def _set_result_rows(
    predictions: SetPredictions, scores: ClassScores, precision_K: npt.NDArray[np.float64]
) -> Iterable[Sequence[object]]:
    yield "class", "precision", "recall", "f1", "average_precision", "threshold", "support", "predicted"
    known = ["" if np.isnan(value) else value for value in precision_K.tolist()]
    scored = (column.tolist() for column in (scores.precision_K, scores.recall_K, scores.f1_K))
    counted = (column.tolist() for column in (scores.support_K, scores.predicted_K))
    yield from zip(predictions.classes, *scored, known, predictions.thresholds_K.tolist(), *counted, strict=True)


def _write_set_views(path: Path, predictions: SetPredictions) -> None:
    """Per sample its label set, what is said, and what each view alone says; an empty set is an empty cell."""
    path.unlink(missing_ok=True)
    if not predictions.view_probabilities:
        return
    of_views = [predictions.said(alone_NK) for alone_NK in predictions.view_probabilities.values()]

    def names(answers_NK: npt.NDArray[np.bool_]) -> list[str]:
        return ["|".join(itertools.compress(predictions.classes, row)) for row in answers_NK.tolist()]

    columns = map(names, [predictions.label_sets_NK, predictions.answers_NK, *of_views])
    header = ("id", "labels", "predicted", *(f"{view} alone" for view in predictions.view_probabilities))
    _write_csv(path, [header, *zip(predictions.ids, *columns, strict=True)])


def _write_views(path: Path, predictions: Predictions) -> None:
    """Per sample what each view says, and whether they disagree; an empty cell where a view is missing."""
    path.unlink(missing_ok=True)
    if not predictions.view_probabilities:
        return
    names = (*predictions.classes, "")  # -1, unknown or missing, is the empty one
    columns = [predictions.labels_N, predictions.predictions_N]
    columns += [predictions.view_predictions(view) for view in predictions.view_probabilities]
    columns += list(predictions.own_grades_VN) if predictions.view_grades else []
    disagree = ["yes" if value else "no" for value in find_disagreements(predictions).tolist()]
    ends = {"disagree": disagree} | ({"steps apart": steps_apart(predictions).tolist()} if predictions.ordered else {})
    cells = ([names[index] for index in column.tolist()] for column in columns)
    given = [f"{view} alone" for view in predictions.view_probabilities]
    given += [f"{view} by its own head" for view in predictions.view_grades]
    header = ("id", "label", "predicted", *given, *ends)
    _write_csv(path, [header, *zip(predictions.ids, *cells, *ends.values(), strict=True)])


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
