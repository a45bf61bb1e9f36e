"""Report sections that both kinds of answer share, as blocks of `obverse.report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from obverse.metrics import ClassScores, Measure, Metric
from obverse.report import Row, Section, Table, Text

from .diagnosis import Diagnosis
from .estimates import Estimate

# Classes with fewer samples than this get a warning.
FEW_SAMPLES = 10
# Rows of the tables of best and worst classes, and of example mistakes.
NUM_EXTREMES = 5
NUM_EXAMPLES = 10


def table_section(title: str, header: Row, rows: Sequence[Row], sentences: Sequence[str] = ()) -> Section:
    """A section of sentences and one table."""
    return Section(title, (*map(Text, sentences), Table(header, tuple(rows))))


def filled(sections: Sequence[Section]) -> list[Section]:
    """The sections that have content besides sentences."""
    return [section for section in sections if not section.is_empty]


def result_section(sentences: Sequence[str], rows: Sequence[Row]) -> Section:
    """The section of all metrics with their intervals."""
    return table_section("Result", ("metric", "value", "95 % interval"), rows, sentences)


def diagnosis_section(diagnoses: Sequence[Diagnosis]) -> Section:
    """The section of the training's diagnoses."""
    rows = [(finding.what, finding.advice) for finding in diagnoses]
    return table_section("Diagnosis of the training", ("what stands out", "what to try"), rows)


def run_section(facts: Mapping[str, str]) -> Section:
    """The section of facts about the run and its model."""
    return table_section("Run", ("fact", "value"), tuple(facts.items()))


def extreme_sections(
    classes: Sequence[str], scores: ClassScores, header: Row, cells: Callable[[int], Row]
) -> list[Section]:
    """Tables of the best and the worst classes by F1, among classes with samples. Ties go to the earlier class.

    cells: class index -> cells after the class's name.
    """
    occurring_M = np.flatnonzero(scores.support_K > 0)
    sections = []
    for end, sign in (("Top", -1.0), ("Bottom", 1.0)):
        order = occurring_M[np.argsort(sign * scores.f1_K[occurring_M], kind="stable")][:NUM_EXTREMES]
        rows = [(classes[k], *cells(k)) for k in order.tolist()]
        table = Table(header, tuple(rows))
        title = f"{end} {NUM_EXTREMES} classes by F1"
        sections.append(Section(title, (table,), topic="classes", is_on_page=False))
    return sections


def few_samples_sentences(scores: ClassScores) -> tuple[str, ...]:
    """A warning about classes with few samples; empty where there are none."""
    few = int(((scores.support_K > 0) & (scores.support_K < FEW_SAMPLES)).sum())
    some = counted(few, "class has", "classes have")
    return (f"{some} fewer than {FEW_SAMPLES} samples: scores of so few say little.",) if few else ()


def counted(num: int, one: str, many: str) -> str:
    """A number before words that agree with it."""
    return f"{num:,} {one if num == 1 else many}"


def units_sentence(num_samples: int, num_groups: int | None) -> str:
    """A sentence on what intervals treat as independent: samples or groups."""
    if num_groups is None:
        return (
            "Intervals treat samples as independent; several pictures of one object make the truth wider. Say which "
            "samples belong together by data.split.group_by or a column `group`."
        )
    return (
        f"The {num_samples} samples lie in {num_groups} groups (of one object, or copies; a sample without a group is "
        "one by itself), and intervals treat groups, not samples, as independent."
    )


def estimate_rows(
    table: Sequence[tuple[Metric, Measure[Any] | None]], estimates: Mapping[str, Estimate | None]
) -> list[Row]:
    """One row per metric that was measured."""
    rows = []
    for metric, measure in table:
        if measure and metric.name in estimates:
            name = f"{metric.title}: {measure.explained}" if measure.explained else metric.title
            rows.append(metric_row(name, estimates[metric.name], share=metric.unit == "share"))
    return rows


def metric_row(name: str, estimate: Estimate | None, *, share: bool = False) -> Row:
    """A table row of name, value and 95 % interval. share: shown in per cent."""
    if estimate is None:
        return name, "not defined", "–"
    scale, digits, unit = (100.0, 1, " %") if share else (1.0, 3, "")
    value = f"{scale * estimate.value:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return name, value, f"– ({estimate.reason})" if estimate.reason else "–"
    return name, value, f"{scale * estimate.low:.{digits}f} to {scale * estimate.high:.{digits}f}{unit}"
