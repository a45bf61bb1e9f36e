"""Definition of a metric: name, title, unit, direction, needs, and its computation for each kind of data.

The metrics themselves are in `families/`, and `registry.py` has the table of all metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from obverse.registry import Decode

from .answers import LabelSets, OneLabel
from .counts import FloatArray, IntArray
from .intervals import Interval

Answers = TypeVar("Answers", OneLabel, LabelSets)
Need = Literal["order", "probabilities", "two classes", "thresholds"]
"""order: classes in grade order. probabilities: not only answers. two classes: at least two occur among the labels,
else the value is not defined. thresholds: label sets are read at the thresholds that are best for F1, not at 1/2."""


@dataclass(frozen=True, kw_only=True)
class Measure(Generic[Answers]):
    """How a metric is computed for one kind of data."""

    value: Callable[[Answers], float]
    """The score; NaN where it is not defined."""

    interval: Callable[[Answers], Interval]
    """Its 95 % interval; NaN ends with a reason where there is none."""

    of_counts: Callable[[IntArray], FloatArray] | None = None
    """The scores (R) of resamples from what `counted` gives alone: of one class per sample the confusion matrices, of
    label sets hits, labels and answers of each class. None where it needs more than that."""

    of_samples: Callable[[Answers], FloatArray] | None = None
    """One value per sample whose mean is the score (N), for resampling: the sample's own share in a mean, else the
    score plus N times the sample's influence on it (pseudo-values: Efron 1982)."""

    too_few: Callable[[Answers], str] | None = None
    """Why there are too few samples for a paired test by `of_samples`, empty where there are enough; None where there
    always are."""

    per_class: Callable[[Answers], FloatArray] | None = None
    """The score of each class (K), NaN where it is not defined; a column of results.csv."""

    explained: str = ""
    """Explanation that a report shows after the title."""

    is_headline: bool = False
    """Whether reports show the metric first."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of the table of metrics."""

    name: str
    """Key of metrics.json, and the name in recipes, criteria and tables."""

    title: str
    unit: Literal["share", "score", "nats", "steps"]
    """share: shown in per cent. score: without a unit."""

    better: Literal["higher", "lower"]
    one_label: Measure[OneLabel] | None = None
    label_sets: Measure[LabelSets] | None = None
    bounds: tuple[float, float] | None = (0.0, 1.0)
    """Lowest and highest possible value; None where it is unbounded or depends on the number of classes."""

    needs: frozenset[Need] = frozenset()
    decode: Decode = "mode"
    """Which class of a distribution over ordered classes is best by the metric, on expectation. The mode for metrics
    that count hits, and for those that read probabilities only."""

    more_classes_than: int = 0
    """The metric is left out for data with this many classes or fewer, on which it is trivial."""

    also: tuple[str, ...] = ()
    """Other names in recipes and criteria."""

    block: str = ""
    """Block of metrics.json that holds the metric; empty for the top level."""

    key: str = ""
    """Key in the block, where it is not the name."""

    class_key: str = ""
    """Column of results.csv for the score of each class."""

    is_compared: bool = True
    """Whether epochs and runs can be compared by the metric: `training.select`, `compare`, sweeps, criteria."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of the metric, `name` first."""
        return (self.name, *self.also)

    @property
    def possible(self) -> tuple[float, float]:
        """Lowest and highest value that the metric can have, infinite where unbounded: no error is below 0."""
        return self.bounds or (0.0 if self.better == "lower" else -math.inf, math.inf)

    def applies_to(self, answers: OneLabel | LabelSets) -> bool:
        """Whether the metric is defined for this kind of data, even if its value on these samples is not."""
        is_one = isinstance(answers, OneLabel)
        measure = self.one_label if is_one else self.label_sets
        has_order = isinstance(answers, OneLabel) and answers.ordered
        return measure is not None and answers.num_classes > self.more_classes_than and (
            has_order or "order" not in self.needs
        )  # fmt: skip

    def measure_for(self, answers: OneLabel | LabelSets) -> Measure[Any]:
        """The metric's measure for this kind of data, which must exist."""
        measure = self.one_label if isinstance(answers, OneLabel) else self.label_sets
        assert measure is not None, self.name
        return measure

    def value(self, answers: OneLabel | LabelSets) -> float:
        """The score; NaN where it is not defined."""
        return self.measure_for(answers).value(answers)

    def interval(self, answers: OneLabel | LabelSets) -> Interval:
        """The 95 % interval of the score."""
        return self.measure_for(answers).interval(answers)

    def per_class(self, answers: OneLabel | LabelSets) -> FloatArray | None:
        """The score of each class (K), NaN where it is not defined; None for a metric without scores of classes."""
        per_class = self.measure_for(answers).per_class
        return per_class(answers) if per_class else None


def from_confusion(
    function: Callable[[IntArray], FloatArray],
    interval: Callable[[OneLabel], Interval],
    *,
    explained: str = "",
    is_headline: bool = False,
) -> Measure[OneLabel]:
    """A measure that is a function of the confusion matrix."""
    return Measure(
        value=lambda answers: float(function(answers.confusion_KK)),
        interval=interval,
        of_counts=function,
        explained=explained,
        is_headline=is_headline,
    )


def mean_of(
    of_samples: Callable[[Answers], FloatArray],
    interval: Callable[[Answers], Interval],
    *,
    explained: str = "",
) -> Measure[Answers]:
    """A measure that is the mean of one value per sample."""
    return Measure(
        value=lambda answers: float(of_samples(answers).mean()),
        interval=interval,
        of_samples=of_samples,
        explained=explained,
    )
