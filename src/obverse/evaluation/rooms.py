"""What evaluation does differently for each kind of answer: the one place that chooses between the two rooms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from obverse.decisions import Kind
from obverse.metrics import IntArray
from obverse.report import Section

from . import label_sets, one_class
from .diagnosis import Diagnosis
from .label_sets.measure import SetMetrics
from .one_class.measure import Metrics
from .predictions import Predictions

Measurements = Metrics | SetMetrics


class Room(Protocol):
    """The measurements, tables, plots and sections of one kind of answer."""

    def measure(self, predictions: Predictions) -> Measurements:
        """Everything that is measured."""

    def result_rows(self, predictions: Predictions) -> Iterable[Sequence[object]]:
        """results.csv."""

    def view_rows(self, predictions: Predictions) -> Iterable[Sequence[object]]:
        """views.csv."""

    def plots(self, predictions: Predictions, folder: Path) -> dict[str, Path]:
        """The plots, drawn into `folder`, by the name under which a section shows them."""

    def sections(
        self,
        predictions: Predictions,
        metrics: Measurements,
        *,
        facts: Mapping[str, str],
        diagnoses: Sequence[Diagnosis],
        pictures: Mapping[str, Path],
    ) -> list[Section]:
        """The report in reading order, the table of classes last. pictures: `plots`, and `history`."""

    def surest_mistakes(self, predictions: Predictions) -> IntArray:
        """Rows with a wrong answer, the surest first."""


def room_of(kind: Kind) -> Room:
    """The room of a kind of answer."""
    return label_sets if kind.is_set else one_class


def measure(predictions: Predictions) -> Measurements:
    """Measurements of one split. Intervals treat samples of one group as drawn together."""
    return room_of(predictions.kind).measure(predictions)


def surest_mistakes(predictions: Predictions) -> IntArray:
    """Rows with a wrong answer, the surest first."""
    return room_of(predictions.kind).surest_mistakes(predictions)
