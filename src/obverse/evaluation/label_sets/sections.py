"""Report sections of multi-label data, as blocks of `obverse.report`; all numbers come from `measure.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from obverse.evaluation.diagnosis import Diagnosis
from obverse.evaluation.predictions import Predictions
from obverse.evaluation.sections import (
    NUM_EXAMPLES,
    counted,
    diagnosis_section,
    estimate_rows,
    extreme_sections,
    few_samples_sentences,
    filled,
    result_section,
    run_section,
    table_section,
    units_sentence,
)
from obverse.metrics import LABEL_SETS, ClassScores, FloatArray, class_scores_of, set_scores
from obverse.report import Row, Section, Table, Text

from .measure import SetMetrics, thresholds_of

SCORES = ("precision", "recall", "F1", "average precision", "threshold")


def sections(
    predictions: Predictions,
    metrics: object,
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis],
    pictures: Mapping[str, Path],
) -> list[Section]:
    """Sections of the report in reading order, without those that have no content."""
    assert isinstance(metrics, SetMetrics)
    scores = set_scores(predictions.truth, predictions.answers)
    precision_K = class_scores_of(predictions.outcome)["average_precision"]
    estimates = estimate_rows([(metric, metric.label_sets) for metric in LABEL_SETS], metrics.estimates)
    return filled([
        result_section(_size_sentences(metrics), estimates),
        diagnosis_section(diagnoses),
        run_section(facts),
        _views(metrics),
        *_extremes(predictions, scores, precision_K),
        _mistakes(predictions),
        _classes(predictions, scores, precision_K),
    ])  # fmt: skip


def _size_sentences(metrics: SetMetrics) -> tuple[str, ...]:
    sentences = [
        f"{metrics.num_samples} samples in split {metrics.split}, any number of {metrics.num_classes} classes each; "
        f"{metrics.num_empty} have none.",
        "A class is said when its probability reaches the class's own threshold, which was chosen on val for the "
        "highest F1; mean average precision needs no threshold.",
    ]
    sentences += metrics.seen.sentences(metrics.num_samples)
    if metrics.num_classes_without_samples:
        some = counted(
            metrics.num_classes_without_samples,
            "class has no sample here and is",
            "classes have no sample here and are",
        )
        sentences.append(f"{some} left out of the averages.")
    sentences.append(units_sentence(metrics.num_samples, metrics.num_groups))
    return tuple(sentences)


def _views(metrics: SetMetrics) -> Section:
    rows = [
        (f"{view} alone", str(alone.num_samples), "not defined" if alone.map is None else f"{alone.map:.3f}")
        for view, alone in (metrics.views or {}).items()
    ]
    if rows:
        average = metrics["map"]
        whole = "not defined" if average is None else f"{average.value:.3f}"
        rows.insert(0, ("all views a sample has", str(metrics.num_samples), whole))
    return table_section("Views", ("seen", "samples", "mAP"), rows)


def _extremes(predictions: Predictions, scores: ClassScores, precision_K: FloatArray) -> list[Section]:
    def cells(k: int) -> Row:
        return *_scores(predictions, scores, precision_K, k), str(scores.support_K[k])

    return extreme_sections(predictions.classes, scores, ("class", *SCORES, "samples"), cells)


def _mistakes(predictions: Predictions) -> Section:
    """The section of single wrong decisions, the farthest from their thresholds first."""
    wrong_NK = predictions.truth != predictions.answers
    places_M2 = np.argwhere(wrong_NK)
    margins_M = np.abs(predictions.probabilities_NK - thresholds_of(predictions))[wrong_NK]
    rows = tuple(
        (
            predictions.ids[n],
            predictions.classes[k],
            "has it, not said" if predictions.truth[n, k] else "said, does not have it",
            f"{predictions.probabilities_NK[n, k]:.3f}",
        )
        for n, k in places_M2[np.argsort(-margins_M, kind="stable")[:NUM_EXAMPLES]].tolist()
    )
    sentence = f"{len(rows)} of {len(places_M2)} wrong decisions, the surest first: a wrong label often hides there."
    return table_section("Surest wrong decisions", ("sample", "class", "mistake", "probability"), rows, (sentence,))


def _classes(predictions: Predictions, scores: ClassScores, precision_K: FloatArray) -> Section:
    rows = tuple(
        (name, str(scores.support_K[k]), str(scores.predicted_K[k]), *_scores(predictions, scores, precision_K, k))
        for k, name in enumerate(predictions.classes)
    )
    table = Table(("class", "labels", "predicted", *SCORES), rows, "classes")
    return Section("Classes", (*map(Text, few_samples_sentences(scores)), table), topic="classes")


def _scores(predictions: Predictions, scores: ClassScores, precision_K: FloatArray, k: int) -> Row:
    return (
        f"{scores.precision_K[k]:.3f}",
        f"{scores.recall_K[k]:.3f}",
        f"{scores.f1_K[k]:.3f}",
        "not defined" if np.isnan(precision_K[k]) else f"{precision_K[k]:.3f}",
        f"{thresholds_of(predictions)[k]:.3f}",
    )
