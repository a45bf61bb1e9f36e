"""Choice between the two implementations of evaluation: `one_class` and `label_sets`."""

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
        """All measurements of a split."""

    def result_rows(self, predictions: Predictions) -> Iterable[Sequence[object]]:
        """Rows of results.csv, the header first."""

    def view_rows(self, predictions: Predictions) -> Iterable[Sequence[object]]:
        """Rows of views.csv, the header first."""

    def plots(self, predictions: Predictions, folder: Path) -> dict[str, Path]:
        """Name -> file of each plot, drawn into `folder`."""

    def sections(
        self,
        predictions: Predictions,
        metrics: Measurements,
        *,
        facts: Mapping[str, str],
        diagnoses: Sequence[Diagnosis],
        pictures: Mapping[str, Path],
    ) -> list[Section]:
        """Sections of the report; the page orders them by topic. pictures: result of `plots`."""

    def surest_mistakes(self, predictions: Predictions) -> IntArray:
        """Row numbers of wrong answers, the most confident first."""


def room_of(kind: Kind) -> Room:
    """The implementation for a kind of answer."""
    return label_sets if kind.is_set else one_class


def measure(predictions: Predictions) -> Measurements:
    """Measurements of one split. Intervals treat samples of one group as drawn together."""
    return room_of(predictions.kind).measure(predictions)


def surest_mistakes(predictions: Predictions) -> IntArray:
    """Row numbers of wrong answers, the most confident first."""
    return room_of(predictions.kind).surest_mistakes(predictions)
