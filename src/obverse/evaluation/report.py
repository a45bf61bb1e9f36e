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

import base64
import csv
import itertools
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, StrictUndefined

from obverse import metrics
from obverse.errors import DataError
from obverse.evaluation.label_sets.measure import SetMetrics, answers_of_sets, measure_sets
from obverse.evaluation.label_sets.sections import set_sections
from obverse.evaluation.one_class.measure import Metrics, answers_of, find_disagreements, measure, steps_apart
from obverse.evaluation.one_class.sections import Section, report_sections
from obverse.metrics import ClassScores
from obverse.staging import final_place

from .diagnosis import Diagnosis
from .plots import plot_confusion
from .predictions import Predictions, create_folder
from .seen import Seen
from .set_predictions import SetPredictions

CONFUSION_PNG = "confusion_matrix.png"
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
NEW_SAMPLES = Seen()
# Results as they were called when no list of them was kept (`obverse.staging`).
EARLIER = (
    *("predictions.npy", "true_labels.npy", "probabilities.npy", "ids.json", "names.json", "embeddings.npy"),
    *("view_probabilities.npz", "view_grades.npz", "results.csv", "views.csv", "metrics.json", CONFUSION_PNG),
    *("groups.json", "summary.md", "report.html"),
)
LONGEST_OPEN_TABLE = 40
"""Rows from which a table of the HTML page starts folded."""


def write_evaluation(
    folder: Path,
    predictions: Predictions,
    *,
    facts: dict[str, str],
    diagnoses: Sequence[Diagnosis] = (),
    history_png: Path | None = None,
    more: Sequence[tuple[Section, Path]] = (),
    seen: Seen = NEW_SAMPLES,
) -> Metrics:
    """Measure and write everything above into `folder`; `facts` are shown as they come (model, best epoch, time).

    more: sections of the caller's own, each with the file of its picture. seen: what the model knows of the samples.
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
    pictures = {"confusion": folder / CONFUSION_PNG} | ({"history": history_png} if history_png else {})
    pictures |= {section.picture: path for section, path in more if section.picture}
    *sections, classes = report_sections(predictions, measured, scores, facts=facts, diagnoses=diagnoses)
    sections += [*(section for section, _ in more), classes]
    _write_pages(folder, predictions.split, sections, pictures)
    return measured


def write_set_evaluation(
    folder: Path,
    predictions: SetPredictions,
    *,
    facts: dict[str, str],
    diagnoses: Sequence[Diagnosis] = (),
    history_png: Path | None = None,
    more: Sequence[tuple[Section, Path]] = (),
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
    pictures = {"history": history_png} if history_png else {}
    pictures |= {section.picture: path for section, path in more if section.picture}
    *sections, classes = set_sections(predictions, measured, scores, precision_K, facts=facts, diagnoses=diagnoses)
    sections += [*(section for section, _ in more), classes]
    _write_pages(folder, predictions.split, sections, pictures)
    return measured


def _write_pages(folder: Path, split: str, sections: Sequence[Section], pictures: dict[str, Path]) -> None:
    shown = [section for section in sections if not section.picture or section.picture in pictures]
    _write(folder / "summary.md", markdown(f"Evaluation on {split}", shown, pictures=_links(pictures, folder)))
    _write(folder / "report.html", html(split, shown, pictures=_embedded(pictures)))


def markdown(title: str, sections: Sequence[Section], *, pictures: dict[str, str]) -> str:
    """The sections as GitHub-flavoured Markdown; `pictures` maps their names to links."""
    lines = [f"# {markdown_text(title)}", ""]
    for section in sections:
        lines += [f"## {markdown_text(section.title)}", ""]
        lines += [line for sentence in section.sentences for line in (markdown_text(sentence), "")]
        if section.picture:
            lines += [f"![{section.picture}]({pictures[section.picture]})", ""]
        if section.rows:
            lines += [_table_line(map(markdown_text, section.header)), _table_line("---" for _ in section.header)]
            lines += [_table_line(map(markdown_text, row)) for row in section.rows] + [""]
    return "\n".join(lines)


def html(split: str, sections: Sequence[Section], *, pictures: dict[str, str]) -> str:
    """The sections as one page; `pictures` maps their names to `data:` addresses."""
    template = files("obverse.evaluation").joinpath("template.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["plain"] = plain_text
    return environment.from_string(template).render(
        split=split, sections=sections, pictures=pictures, longest_open_table=LONGEST_OPEN_TABLE
    )


def plain_text(text: str) -> str:
    """One line of printable characters: control marks, which could reorder or hide text, show as a replacement."""
    hidden = ("Cc", "Cs")
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in hidden or char in _REORDERING else char
        for char in " ".join(text.split())
    )


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too; an underscore inside a word needs no escape."""
    entities = plain_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~$#])|(?<![^\W_])(_)|(_)(?![^\W_])", lambda match: "\\" + match.group(0), entities)


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

    def told(answers_NK: npt.NDArray[np.bool_]) -> list[str]:
        return ["|".join(itertools.compress(predictions.classes, row)) for row in answers_NK.tolist()]

    columns = map(told, [predictions.label_sets_NK, predictions.answers_NK, *of_views])
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


def _table_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _links(pictures: dict[str, Path], folder: Path) -> dict[str, str]:
    """Relative, so that a run folder can move as a whole."""
    homes = {name: folder if path.is_relative_to(folder) else final_place(folder) for name, path in pictures.items()}
    relative = {name: Path(os.path.relpath(path, homes[name])).as_posix() for name, path in pictures.items()}
    return {name: quote(os.fsencode(path)) for name, path in relative.items()}


def _embedded(pictures: dict[str, Path]) -> dict[str, str]:
    return {
        name: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
        for name, path in pictures.items()
    }
