"""What a report of label sets says, as blocks of `obverse.report`: no looks, and no numbers of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from obverse.evaluation.diagnosis import Diagnosis
from obverse.evaluation.sections import (
    FEW_SAMPLES,
    NUM_EXAMPLES,
    NUM_EXTREMES,
    diagnosis_section,
    estimate_rows,
    filled,
    result_section,
    run_section,
    table_section,
    training_section,
    units_sentence,
)
from obverse.evaluation.set_predictions import SetPredictions
from obverse.metrics import LABEL_SETS, PROBABILITY, ClassScores
from obverse.metrics.counts import FloatArray
from obverse.report import Row, Section

from .measure import SetMetrics

SCORES = ("precision", "recall", "F1", "average precision", "threshold")


def set_sections(
    predictions: SetPredictions,
    metrics: SetMetrics,
    scores: ClassScores,
    precision_K: FloatArray,
    *,
    facts: Mapping[str, str],
    diagnoses: Sequence[Diagnosis],
    history_png: Path | None,
) -> list[Section]:
    """Everything in reading order; sections without content are left out. precision_K: average precisions."""
    estimates = estimate_rows([(metric, metric.label_sets) for metric in LABEL_SETS], metrics.estimates)
    return filled([
        result_section(_size_sentences(metrics), estimates),
        diagnosis_section(diagnoses),
        run_section(facts),
        training_section(history_png, "Curves over epochs; accuracy is of whole label sets, read at 1/2."),
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
        count = metrics.num_classes_without_samples
        sentences.append(f"{count} classes have no sample here and are left out of the averages.")
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


def _extremes(predictions: SetPredictions, scores: ClassScores, precision_K: FloatArray) -> list[Section]:
    """Best and worst by F1 among classes that occur; of equals the earlier class."""
    occurring_M = np.flatnonzero(scores.support_K > 0)
    sections = []
    for title, sign in ((f"Top {NUM_EXTREMES} classes by F1", -1.0), (f"Bottom {NUM_EXTREMES} classes by F1", 1.0)):
        order = occurring_M[np.argsort(sign * scores.f1_K[occurring_M], kind="stable")][:NUM_EXTREMES]
        rows = tuple(
            (predictions.classes[k], *_scores(predictions, scores, precision_K, k), str(scores.support_K[k]))
            for k in order
        )
        sections.append(table_section(title, ("class", *SCORES, "samples"), rows))
    return sections


def _mistakes(predictions: SetPredictions) -> Section:
    """Single decisions; how sure is how far from the threshold."""
    wrong_NK = predictions.label_sets_NK != predictions.answers_NK
    places_M2 = np.argwhere(wrong_NK)
    margins_M = np.abs(predictions.probabilities_NK - predictions.thresholds_K)[wrong_NK]
    rows = tuple(
        (
            predictions.ids[n],
            predictions.classes[k],
            "has it, not said" if predictions.label_sets_NK[n, k] else "said, does not have it",
            f"{predictions.probabilities_NK[n, k]:.3f}",
        )
        for n, k in places_M2[np.argsort(-margins_M, kind="stable")[:NUM_EXAMPLES]].tolist()
    )
    sentence = f"{len(rows)} of {len(places_M2)} wrong decisions, the surest first: a wrong label often hides there."
    return table_section("Surest mistakes", ("sample", "class", "mistake", PROBABILITY), rows, (sentence,))


def _classes(predictions: SetPredictions, scores: ClassScores, precision_K: FloatArray) -> Section:
    few = int(((scores.support_K > 0) & (scores.support_K < FEW_SAMPLES)).sum())
    sentences = (f"{few} classes have fewer than {FEW_SAMPLES} samples: their scores say little.",) if few else ()
    rows = tuple(
        (name, str(scores.support_K[k]), str(scores.predicted_K[k]), *_scores(predictions, scores, precision_K, k))
        for k, name in enumerate(predictions.classes)
    )
    return table_section("Classes", ("class", "labels", "predicted", *SCORES), rows, sentences)


def _scores(predictions: SetPredictions, scores: ClassScores, precision_K: FloatArray, k: int) -> Row:
    return (
        f"{scores.precision_K[k]:.3f}",
        f"{scores.recall_K[k]:.3f}",
        f"{scores.f1_K[k]:.3f}",
        "not defined" if np.isnan(precision_K[k]) else f"{precision_K[k]:.3f}",
        f"{predictions.thresholds_K[k]:.3f}",
    )
