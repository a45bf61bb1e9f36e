"""Coverage and size of prediction sets, with 95 % intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.decisions import band
from obverse.evaluation.estimates import Estimate, estimate_mean, estimate_share
from obverse.evaluation.predictions import Predictions
from obverse.metrics import FloatArray, exact_interval
from obverse.recipe import SetsSpec

# Of all classes' intervals together, the share of data sets in which they all hold.
CONFIDENCE = 0.95
PLACES = 1e-9


@dataclass(frozen=True)
class ClassCoverage:
    """How often sets hold the class where it is true, with an interval that holds for all classes at once."""

    name: str

    num_samples: int
    """Labelled samples that have the class."""

    value: float

    low: float
    high: float


@dataclass(frozen=True)
class SetsMetrics:
    """Measurements of the prediction sets of one split."""

    rules: tuple[SetsSpec, ...]
    """One rule, or for pooled predictions the rule of each fold."""

    coverage: Estimate
    """Share of labelled samples whose set holds the true class; for label sets, mean share of the true classes held."""

    mean_size: Estimate
    """Mean number of classes of a set, over all samples."""

    sizes: dict[int, int]
    """Number of classes -> number of sets of that size."""

    classes: tuple[ClassCoverage, ...]
    """Coverage of each class that has labelled samples, in class order."""

    num_classes: int

    @property
    def level(self) -> float:
        """The promised coverage."""
        return min(rule.level for rule in self.rules)

    @property
    def lowest_first(self) -> list[ClassCoverage]:
        """The classes by their coverage, the lowest first; of equal ones the one with the most samples."""
        return sorted(self.classes, key=lambda of_class: (of_class.value, -of_class.num_samples))

    @property
    def below(self) -> tuple[ClassCoverage, ...]:
        """Classes whose coverage is below the promise beyond chance, all classes considered."""
        return tuple(of_class for of_class in self.classes if of_class.high < self.level - PLACES)

    @property
    def is_short(self) -> bool:
        """Whether coverage is lower than val's size explains: its interval lies below the band of the promise."""
        ends = [ends[0] for rule in self.rules if (ends := band(rule))]
        return bool(ends) and self.coverage.high is not None and self.coverage.high < min(ends)

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, with the promise of each rule."""
        return {
            "level": self.level,
            "rules": [
                {"kind": rule.kind, "num_units": rule.num_units, "band": list(band(rule) or ()) or None}
                for rule in self.rules
            ],
            "coverage": asdict(self.coverage),
            "mean_size": asdict(self.mean_size),
            "sizes": {str(size): num for size, num in self.sizes.items()},
            "classes": [asdict(of_class) for of_class in self.classes],
            "worst": next((of_class.name for of_class in self.lowest_first), None),
            "below": [of_class.name for of_class in self.below],
        }


def measure_sets(predictions: Predictions) -> SetsMetrics | None:
    """Measurements of the sets; None where the model gives none, or no sample has a label."""
    labelled = predictions.labelled()
    if predictions.sets is None or labelled.sets is None or not labelled.ids:
        return None
    within_NK, num_classes = labelled.sets.within_NK, len(predictions.classes)
    has_NK = labelled.truth if labelled.truth.ndim == 2 else np.eye(num_classes, dtype=np.bool_)[labelled.truth]
    sizes_N = predictions.sets.within_NK.sum(axis=1)
    numbers, counts = np.unique(sizes_N, return_counts=True)
    return SetsMetrics(
        rules=predictions.sets.rules,
        coverage=_coverage(within_NK, has_NK, labelled),
        mean_size=_mean_size(sizes_N.astype(np.float64), predictions),
        sizes=dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
        classes=tuple(_of_classes(within_NK, has_NK, labelled)),
        num_classes=num_classes,
    )


def _mean_size(sizes_N: FloatArray, predictions: Predictions) -> Estimate:
    """The mean number of classes; sets of one class per sample hold at least the answer."""
    if (sizes_N == sizes_N[0]).all():
        return Estimate(float(sizes_N[0]), None, None, "all sets have this size")
    least = 0.0 if predictions.kind.is_set else 1.0
    mean = estimate_mean(sizes_N, predictions.units, bounds=(least, float(len(predictions.classes))))
    assert mean is not None
    return mean


def _coverage(within_NK: npt.NDArray[np.bool_], has_NK: npt.NDArray[np.bool_], labelled: Predictions) -> Estimate:
    held_N, num_N = (within_NK & has_NK).sum(axis=1), has_NK.sum(axis=1)
    if not labelled.kind.is_set:
        return estimate_share(held_N == num_N, labelled.units)
    # A sample without any class misses none.
    shares_N: FloatArray = np.where(num_N > 0, held_N / np.maximum(num_N, 1), 1.0)
    mean = estimate_mean(shares_N, labelled.units, bounds=(0.0, 1.0))
    assert mean is not None
    return mean


def _of_classes(
    within_NK: npt.NDArray[np.bool_], has_NK: npt.NDArray[np.bool_], labelled: Predictions
) -> list[ClassCoverage]:
    """Coverage of each class with samples; exact intervals, with Bonferroni's correction for their number."""
    present_M = np.flatnonzero(has_NK.any(axis=0))
    confidence = 1 - (1 - CONFIDENCE) / len(present_M) if len(present_M) else CONFIDENCE
    coverages = []
    for k in present_M.tolist():
        held_M = within_NK[has_NK[:, k], k]
        share, num_units = float(held_M.mean()), labelled.units.take(has_NK[:, k]).effective
        ends = exact_interval(share * num_units, num_units, confidence=confidence)
        coverages.append(ClassCoverage(labelled.classes[k], len(held_M), share, ends.low, ends.high))
    return coverages
