"""Files of one evaluation: predictions, metrics, tables, plots and report pages.

    FOLDER/
      predictions.npy true_labels.npy probabilities.npy ids.json names.json ...   see `obverse.evaluation.predictions`
      results.csv           class, precision, recall, f1, support, predicted, and metrics against the rest
      views.csv             per sample the class from every view alone, and from its own head; only with views
      metrics.json          `Measurements`
      confusion_matrix.png
      reliability.png       share of right answers by their probability, with counts
      summary.md            the sections as Markdown
      report.html           the same with pictures, script and predictions inside: one file, nothing fetched

Multi-label data: results.csv also has average_precision and threshold, views.csv has label sets, and there is no
confusion matrix, which needs one label per sample.

Names of classes and samples may have any characters: CSV and JSON keep them, pages show them escaped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from obverse.evaluation.one_class.tables import CONFUSION_PNG
from obverse.metrics import IntArray
from obverse.report import Page, Section, to_html, to_markdown

from .arrays_on_disk import create_folder
from .calibration import calibration_section, uncalibrated_estimates
from .diagnosis import Diagnosis
from .page import Extras, Judged, compose, shortened
from .predictions import Predictions
from .rooms import Measurements, room_of
from .seen import Seen
from .sets import measure_sets, sets_section

NEW_SAMPLES, NO_EXTRAS = Seen(), Extras()
# File names of evaluations by earlier versions, which wrote no list of their files (`obverse.staging`).
EARLIER = (
    *("predictions.npy", "true_labels.npy", "probabilities.npy", "ids.json", "names.json", "embeddings.npy"),
    *("view_probabilities.npz", "view_grades.npz", "results.csv", "views.csv", "metrics.json", CONFUSION_PNG),
    *("groups.json", "summary.md", "report.html"),
)


@dataclass(frozen=True)
class Topic:
    """A section of the report with the values behind it, as a room above this one measures them."""

    section: Section

    key: str = ""
    """Its key in metrics.json; empty without values."""

    values: Any = None
    """Plain JSON values without NaN."""


def write_evaluation(
    folder: Path,
    predictions: Predictions,
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis] = (),
    extras: Extras = NO_EXTRAS,
    more: Sequence[Section | Topic] = (),
    seen: Seen = NEW_SAMPLES,
) -> Measurements:
    """Measurements of the predictions, after writing all files above into `folder`.

    facts: name -> value, shown in the given order. more: further sections, before the table of classes; the values of a
    topic go into metrics.json. extras: training curves, thumbnails, and properties to filter by.
    seen: which samples the model has seen already.
    Raises DataError when the plot of the training curves does not exist.
    """
    extras.history.require_plot()
    facts = shortened(facts)
    room = room_of(predictions.kind)
    uncalibrated = uncalibrated_estimates(predictions)
    of_sets = measure_sets(predictions)
    if of_sets is not None:
        more = [*more, Topic(sets_section(predictions, of_sets), "sets", of_sets.as_json())]
    topics = [topic for topic in more if isinstance(topic, Topic)]
    # As they will be read back: lists, not tuples.
    values = {topic.key: json.loads(json.dumps(topic.values)) for topic in topics if topic.key}
    measured = replace(room.measure(predictions), seen=seen, uncalibrated=uncalibrated, topics=values)
    create_folder(folder)
    for other_time in ("views.csv", CONFUSION_PNG):
        (folder / other_time).unlink(missing_ok=True)
    predictions.write(folder)
    _write_csv(folder / "results.csv", room.result_rows(predictions))
    if predictions.view_probabilities:
        _write_csv(folder / "views.csv", room.view_rows(predictions))
    _write(folder / "metrics.json", json.dumps(measured.as_json(), indent=2, allow_nan=False) + "\n")
    pictures = room.plots(predictions, folder)
    sections = room.sections(predictions, measured, facts=facts, diagnoses=diagnoses, pictures=pictures)
    calibration = calibration_section(predictions, measured.estimates, folder, uncalibrated=uncalibrated)
    sections += [calibration, *(entry.section if isinstance(entry, Topic) else entry for entry in more)]
    judged = Judged(measured.estimates, seen, values, room.surest_mistakes(predictions), _support(predictions))
    _write_pages(folder, compose(predictions, judged, sections, facts=facts, diagnoses=diagnoses, extras=extras))
    return measured


def _support(predictions: Predictions) -> IntArray:
    """Samples of each class (K)."""
    truth, num = predictions.labelled().truth, len(predictions.classes)
    counts_K: IntArray = truth.sum(axis=0) if predictions.kind.is_set else np.bincount(truth, minlength=num)
    return counts_K.astype(np.int64)


def _write_pages(folder: Path, page: Page) -> None:
    _write(folder / "summary.md", to_markdown(page, folder))
    _write(folder / "report.html", to_html(page))


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
