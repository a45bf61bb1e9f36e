"""Report sections for one class per sample, as blocks of `obverse.report`; all numbers come from `measure.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from obverse.evaluation.diagnosis import Diagnosis
from obverse.evaluation.page import items_of
from obverse.evaluation.plots import has_key
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.sections import (
    NUM_EXAMPLES,
    counted,
    diagnosis_section,
    estimate_rows,
    extreme_sections,
    few_samples_sentences,
    filled,
    metric_row,
    result_section,
    run_section,
    table_section,
    units_sentence,
)
from obverse.metrics import ONE_LABEL, ClassScores
from obverse.report import Figure, Gallery, Panel, Row, Section, Table, Text

from .decoding import decoding_section
from .measure import Metrics, class_scores_of, find_disagreements, own_grades_of, steps_apart

WIDE_INTERVAL = 0.10
"""Width of the accuracy interval, as a share, from which a test set is called small (about 150 to 400 samples)."""


def sections(
    predictions: Predictions,
    metrics: object,
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis],
    pictures: Mapping[str, Path],
) -> list[Section]:
    """Sections of the report in reading order, without those that have no content."""
    assert isinstance(metrics, Metrics)
    scores = class_scores_of(predictions.labelled())
    estimates = estimate_rows([(metric, metric.one_label) for metric in ONE_LABEL], metrics.estimates)
    return filled([
        result_section(tuple(_size_sentences(metrics)), estimates),
        decoding_section(metrics.decoding),
        diagnosis_section(diagnoses),
        run_section(facts),
        _confusion(predictions.classes, pictures["confusion"]),
        _views(metrics),
        _disagreements(predictions),
        *_extremes(predictions.classes, scores),
        _distribution(predictions.classes, metrics, scores),
    ])  # fmt: skip


def _confusion(classes: Sequence[str], path: Path) -> Section:
    """The section of the confusion matrix, with a key of class names where the plot shows numbers."""
    figure = Figure(path, "confusion", "Confusion matrix: each true class in a row, each predicted class in a column.")
    key = [(str(number), name) for number, name in enumerate(classes, 1)] if has_key(classes) else []
    panel = Panel("confusion", (figure, Table(("number in the plot", "class"), tuple(key))))
    return Section(
        "Confusion",
        (Text("Rows are true classes, columns predictions; a stronger colour is more of the true class."), panel),
    )


def _size_sentences(metrics: Metrics) -> Iterator[str]:
    whole = f"{metrics.num_samples} labelled samples of {metrics.num_classes} classes in split {metrics.split}"
    low, high = metrics.accuracy.low, metrics.accuracy.high
    if low is None or high is None:
        yield f"{whole}; accuracy has no interval: {metrics.accuracy.reason}."
    else:
        width = high - low
        yield f"{whole}; the 95 % interval of accuracy is {100 * width:.1f} points wide."
        if width > WIDE_INTERVAL:
            yield (
                "This is a small set: on sets of this size, two models less than about "
                f"{100 * width / math.sqrt(2):.0f} points apart cannot be told apart without a paired test."
            )
    yield from metrics.seen.sentences(metrics.num_samples)
    if metrics.num_unlabelled:
        some = counted(metrics.num_unlabelled, "sample without a label is", "samples without a label are")
        yield f"{some} not counted."
    if metrics.num_classes_without_samples:
        some = counted(
            metrics.num_classes_without_samples,
            "class has no sample here and is",
            "classes have no sample here and are",
        )
        yield f"{some} left out of the averages."
    yield units_sentence(metrics.num_samples, metrics.num_groups)


def _views(metrics: Metrics) -> Section:
    title, header = "Views", ("seen", "samples", "accuracy", "95 % interval")
    if metrics.views is None:
        return Section(title)
    _, accuracy, interval = metric_row("", metrics.accuracy, share=True)
    rows: list[Row] = [("all views a sample has", str(metrics.num_samples), accuracy, interval)]
    for view, alone in metrics.views.alone.items():
        _, accuracy, interval = metric_row("", alone.accuracy, share=True)
        rows.append((f"{view} alone", str(alone.num_samples), accuracy, interval))
    for view, graded in metrics.views.graded.items():
        _, accuracy, interval = metric_row("", graded.accuracy, share=True)
        rows.append((f"{view} by its own head", str(graded.num_samples), accuracy, interval))
    _, share, interval = metric_row("", metrics.views.disagreement, share=True)
    sentence = (
        f"Of {metrics.views.num_complete} samples with all {len(metrics.views.alone)} views, "
        f"the views' own predictions disagree on {share} ({interval})."
    )
    if metrics.views.steps_apart:
        _, steps, interval = metric_row("", metrics.views.steps_apart)
        sentence += f" On average they lie {steps} steps apart ({interval})."
    return table_section(title, header, rows, (sentence,) if metrics.views.disagreement else ())


def _disagreements(predictions: Predictions) -> Section:
    """The section of samples whose views disagree: the widest first for ordered classes, then the most confident."""
    title, views = "Where the views disagree", tuple(predictions.own_grades)
    if len(views) < 2:
        return Section(title)
    rows_M = np.flatnonzero(find_disagreements(predictions))
    sureness_M = np.min([predictions.own_grades[view][rows_M].max(axis=1) for view in views], axis=0)
    steps_M = steps_apart(predictions)[rows_M] * predictions.kind.ordered
    chosen = rows_M[np.lexsort((-sureness_M, -steps_M))[:NUM_EXAMPLES]]
    given_VN = own_grades_of(predictions)

    def note(row: int) -> str:
        return ", ".join(f"{view} {predictions.classes[k]}" for view, k in zip(views, given_VN[:, row], strict=True))

    items = items_of(predictions, chosen.tolist(), {})
    order = "the farthest apart, then the surest first" if predictions.kind.ordered else "the surest first"
    sentence = f"{len(items)} of {len(rows_M)}, {order}; views.csv holds them all."
    gallery = Gallery(tuple(replace(item, note=note(row)) for row, item in items.items()))
    return Section(title, (Text(sentence), gallery) if items else ())


def _extremes(classes: Sequence[str], scores: ClassScores) -> list[Section]:
    columns = (scores.f1_K, scores.precision_K, scores.recall_K)
    header = ("class", "F1", "precision", "recall", "samples")
    return extreme_sections(
        classes, scores, header, lambda k: (*(f"{column_K[k]:.3f}" for column_K in columns), str(scores.support_K[k]))
    )


def _distribution(classes: Sequence[str], metrics: Metrics, scores: ClassScores) -> Section:
    spread = f"Prediction CV {metrics.prediction_cv:.2f}, label CV {metrics.label_cv:.2f}"
    spread += " (how uneven the numbers of the classes are; 0 is even)"
    if metrics.cv_ratio is None:
        spread += ": labels are balanced, so the prediction CV alone tells how unevenly classes are chosen."
    else:
        spread += (
            f", ratio {metrics.cv_ratio:.2f}: at 1 predictions are as uneven as labels, above 1 the model "
            "favours some classes more than the data does, below 1 less."
        )
    counts, shares = (scores.support_K, scores.predicted_K), (scores.precision_K, scores.recall_K, scores.f1_K)
    rows = tuple(
        (name, *(str(column_K[k]) for column_K in counts), *(f"{column_K[k]:.3f}" for column_K in shares))
        for k, name in enumerate(classes)
    )
    header = ("class", "labels", "predicted", "precision", "recall", "F1")
    sentences = (spread, *few_samples_sentences(scores))
    return Section("Classes", (*map(Text, sentences), Table(header, rows, "classes")), topic="classes")
