"""What a report says, as titles, sentences and tables, once for Markdown and HTML alike.

Not its looks, and no numbers of its own: they come from `measure.py`. Text is raw here; whoever renders
a section escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obverse.evaluation.diagnosis import Diagnosis
from obverse.evaluation.plots import has_key
from obverse.evaluation.predictions import Predictions
from obverse.metrics import ONE_LABEL, PROBABILITY, ClassScores, Metric
from obverse.metrics.metric import Measure

from .measure import Estimate, Metrics, find_disagreements, steps_apart

WIDE_INTERVAL = 0.10
"""Width of the accuracy interval, as a share, from which a test set is called small (about 150 to 400 samples)."""
FEW_SAMPLES = 10
NUM_EXTREMES = 5
NUM_EXAMPLES = 10

Row = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One heading with its sentences and at most one table; `picture` names the plot that belongs here."""

    title: str
    sentences: tuple[str, ...] = ()
    header: Row = ()
    rows: tuple[Row, ...] = ()
    picture: str = ""


def report_sections(
    predictions: Predictions,
    metrics: Metrics,
    scores: ClassScores,
    *,
    facts: dict[str, str],
    diagnoses: Sequence[Diagnosis] = (),
) -> list[Section]:
    """Everything in reading order; sections without content are left out."""
    sections = [
        Section("Result", tuple(_size_sentences(metrics)), ("metric", "value", "95 % interval"), _metric_rows(metrics)),
        diagnosis_section(diagnoses),
        Section("Run", (), ("fact", "value"), tuple(facts.items())),
        Section("Training", ("Curves over epochs.",), picture="history"),
        _confusion(predictions.classes),
        _views(metrics),
        _disagreements(predictions),
        *_extremes(predictions.classes, scores),
        _mistakes(predictions),
        _distribution(predictions.classes, metrics, scores),
    ]
    return [section for section in sections if section.rows or section.picture]


def _confusion(classes: Sequence[str]) -> Section:
    """With a key where the plot has numbers: its font lacks a script, or names look alike in 20 characters."""
    said = ("Rows are true classes, columns predictions.",)
    if not has_key(classes):
        return Section("Confusion", said, picture="confusion")
    rows = tuple((str(number), name) for number, name in enumerate(classes, 1))
    return Section("Confusion", said, ("number in the plot", "class"), rows, picture="confusion")


def diagnosis_section(diagnoses: Sequence[Diagnosis]) -> Section:
    """What stood out in the training."""
    rows = tuple((finding.what, finding.advice) for finding in diagnoses)
    return Section("Diagnosis of the training", (), ("what stands out", "what to try"), rows)


def _size_sentences(metrics: Metrics) -> Iterator[str]:
    counted = f"{metrics.num_samples} labelled samples of {metrics.num_classes} classes in split {metrics.split}"
    low, high = metrics.accuracy.low, metrics.accuracy.high
    if low is None or high is None:
        yield f"{counted}; accuracy has no interval: {metrics.accuracy.reason}."
    else:
        width = high - low
        yield f"{counted}; the 95 % interval of accuracy is {100 * width:.1f} points wide."
        if width > WIDE_INTERVAL:
            yield (
                "This is a small set: on sets of this size, two models less than about "
                f"{100 * width / math.sqrt(2):.0f} points apart cannot be told apart without a paired test."
            )
    yield from metrics.seen.sentences(metrics.num_samples)
    if metrics.num_unlabelled:
        yield f"{metrics.num_unlabelled} samples without a label are not counted."
    if metrics.num_classes_without_samples:
        yield f"{metrics.num_classes_without_samples} classes have no sample here and are left out of the averages."
    yield units_sentence(metrics.num_samples, metrics.num_groups)


def units_sentence(num_samples: int, num_groups: int | None) -> str:
    """What the intervals take to be drawn independently."""
    if num_groups is None:
        return (
            "Intervals treat samples as independent; several pictures of one object make the truth wider. Say which "
            "samples belong together by data.split.group_by or a column `group`."
        )
    return (
        f"The {num_samples} samples lie in {num_groups} groups (of one object, or copies; a sample without a group is "
        "one by itself), and intervals treat groups, not samples, as independent."
    )


def _metric_rows(metrics: Metrics) -> tuple[Row, ...]:
    return estimate_rows([(metric, metric.one_label) for metric in ONE_LABEL], metrics.estimates)


def estimate_rows(
    table: Sequence[tuple[Metric, Measure[Any] | None]], estimates: Mapping[str, Estimate | None]
) -> tuple[Row, ...]:
    """One row per metric that was measured."""
    rows = []
    for metric, measure in table:
        if measure and metric.name in estimates:
            name = f"{metric.title}: {measure.explained}" if measure.explained else metric.title
            rows.append(metric_row(name, estimates[metric.name], share=metric.unit == "share"))
    return tuple(rows)


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
    return Section(title, (sentence,) if metrics.views.disagreement else (), header, tuple(rows))


def _disagreements(predictions: Predictions) -> Section:
    """The surest contradictions first, of ordered classes the widest: there both sides are worth a look."""
    title, views = "Where the views disagree", tuple(predictions.own_grades)
    if len(views) < 2:
        return Section(title)
    rows_M = np.flatnonzero(find_disagreements(predictions))
    sureness_M = np.min([predictions.own_grades[view][rows_M].max(axis=1) for view in views], axis=0)
    steps_M = steps_apart(predictions)[rows_M] * predictions.ordered
    chosen = rows_M[np.lexsort((-sureness_M, -steps_M))[:NUM_EXAMPLES]]
    given_VN = predictions.own_grades_VN
    rows = tuple(
        (predictions.ids[row], _label(predictions, row), *(predictions.classes[grade] for grade in given_VN[:, row]))
        for row in chosen
    )
    order = "the farthest apart, then the surest first" if predictions.ordered else "the surest first"
    sentence = f"{len(rows)} of {len(rows_M)}, {order}; views.csv holds them all."
    return Section(title, (sentence,), ("sample", "label", *views), rows)


def _extremes(classes: Sequence[str], scores: ClassScores) -> list[Section]:
    """Best and worst by F1 among classes that occur; of equals the earlier class."""
    occurring_M = np.flatnonzero(scores.support_K > 0)
    header = ("class", "F1", "precision", "recall", "samples")
    sections = []
    for title, sign in ((f"Top {NUM_EXTREMES} classes by F1", -1.0), (f"Bottom {NUM_EXTREMES} classes by F1", 1.0)):
        order = occurring_M[np.argsort(sign * scores.f1_K[occurring_M], kind="stable")][:NUM_EXTREMES]
        rows = tuple(
            (
                classes[index],
                f"{scores.f1_K[index]:.3f}",
                f"{scores.precision_K[index]:.3f}",
                f"{scores.recall_K[index]:.3f}",
                str(scores.support_K[index]),
            )
            for index in order
        )
        sections.append(Section(title, (), header, rows))
    return sections


def _mistakes(predictions: Predictions) -> Section:
    predicted_N = predictions.predictions_N
    wrong_M = np.flatnonzero((predictions.labels_N >= 0) & (predictions.labels_N != predicted_N))
    sureness_M = predictions.probabilities_NK[wrong_M, predicted_N[wrong_M]]
    rows = tuple(
        (
            predictions.ids[wrong_M[place]],
            _label(predictions, int(wrong_M[place])),
            predictions.classes[predicted_N[wrong_M[place]]],
            f"{sureness_M[place]:.3f}",
        )
        for place in np.argsort(-sureness_M, kind="stable")[:NUM_EXAMPLES]
    )
    sentence = f"{len(rows)} of {len(wrong_M)} mistakes, the surest first: a wrong label often hides among them."
    return Section("Surest mistakes", (sentence,), ("sample", "label", "predicted", PROBABILITY), rows)


def _distribution(classes: Sequence[str], metrics: Metrics, scores: ClassScores) -> Section:
    spread = f"Prediction CV {metrics.prediction_cv:.2f}, label CV {metrics.label_cv:.2f}"
    if metrics.cv_ratio is None:
        spread += ": labels are balanced, so the prediction CV alone tells how unevenly classes are chosen (0 is even)."
    else:
        spread += (
            f", ratio {metrics.cv_ratio:.2f}: at 1 predictions are as uneven as labels, above 1 the model "
            "favours some classes more than the data does, below 1 less."
        )
    few = int(((scores.support_K > 0) & (scores.support_K < FEW_SAMPLES)).sum())
    sentences = (spread, f"{few} classes have fewer than {FEW_SAMPLES} samples: their scores say little.")
    rows = tuple(
        (name, str(scores.support_K[index]), str(scores.predicted_K[index]), f"{scores.f1_K[index]:.3f}")
        for index, name in enumerate(classes)
    )
    return Section("Classes", sentences if few else (spread,), ("class", "labels", "predicted", "F1"), rows)


def metric_row(name: str, estimate: Estimate | None, *, share: bool = False) -> Row:
    """Name, value and interval in words; share: in per cent."""
    if estimate is None:
        return name, "not defined", "–"
    scale, digits, unit = (100.0, 1, " %") if share else (1.0, 3, "")
    value = f"{scale * estimate.value:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return name, value, f"– ({estimate.reason})" if estimate.reason else "–"
    return name, value, f"{scale * estimate.low:.{digits}f} to {scale * estimate.high:.{digits}f}{unit}"


def _label(predictions: Predictions, row: int) -> str:
    label = int(predictions.labels_N[row])
    return predictions.classes[label] if label >= 0 else "unknown"
