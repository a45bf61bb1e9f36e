"""Measurement of heads by cross-validation: every metric value is of samples that the head did not see."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from obverse import metrics
from obverse.decisions import Evidence, Kind, calibrate, cross_probabilities, to_logits
from obverse.evaluation import OUT_OF_FOLD, Estimate, Predictions
from obverse.manifest import Manifest, Samples

from .features import Features
from .heads import heads_for
from .validation import FLOOR
from .views import ViewFolds


@dataclass(frozen=True, eq=False)
class Task:
    """The samples with their labels and folds, and how answers are judged."""

    manifest: Manifest
    samples: Samples
    kind: Kind

    select: metrics.Metric
    """The metric by which a training chooses its epoch."""

    folds_RN: torch.Tensor
    """Fold of each sample in each repetition."""

    @property
    def second(self) -> metrics.Metric:
        """The metric that is shown beside it."""
        return metrics.metric_of("micro_f1" if self.kind.is_set else "accuracy", label_sets=self.kind.is_set)

    @property
    def targets_NK(self) -> torch.Tensor:
        """One-hot, or the label sets as ones and zeros."""
        return targets_of(self.manifest, self.samples)

    def predictions(self, probabilities_NK: torch.Tensor) -> Predictions:
        """Probabilities as predictions of this task."""
        targets_NK = self.targets_NK.numpy()
        return Predictions(
            split=OUT_OF_FOLD,
            classes=self.manifest.classes,
            ids=self.samples.ids,
            truth=targets_NK.astype(np.bool_) if self.kind.is_set else targets_NK.argmax(1),
            probabilities_NK=probabilities_NK.numpy().astype(np.float32),
            kind=self.kind,
            groups=self.samples.groups if any(self.samples.groups) else (),
        )

    def answers(self, probabilities_NK: torch.Tensor) -> Predictions:
        """Out-of-fold probabilities of a head as predictions that are read like those of a trained model.

        Of ordered classes they are calibrated first, each sample by a fit on others: targets that spread to neighbours
        pull the median to the middle of the scale.
        """
        predictions = self.predictions(probabilities_NK)
        if not self.kind.ordered:
            return predictions
        floored_NK = (1 - FLOOR) * predictions.probabilities_NK + FLOOR / len(self.manifest.classes)
        weights_N, units = np.ones(len(self.samples)), predictions.units
        evidence = Evidence(to_logits(floored_NK, self.kind), predictions.truth, self.kind, units, weights_N)
        return replace(predictions, probabilities_NK=cross_probabilities(evidence, calibrate(evidence)))


@dataclass(frozen=True, eq=False)
class Measured:
    """A head with one use of the views, measured by cross-validation."""

    head: str
    views: str

    runs: tuple[Predictions, ...]
    """Out-of-fold predictions of each repetition."""

    seconds: float
    """Time of the cross-validation of this head, over all uses of the views."""

    def estimate(self, metric: metrics.Metric) -> Estimate:
        """The metric with its 95 % interval: means over repetitions, of which each has every sample once."""
        outcomes = [run.outcome for run in self.runs]
        ends = [metric.interval(outcome) for outcome in outcomes]
        low, high = (float(np.mean([end[place] for end in ends])) for place in (0, 1))
        value = float(np.mean([metric.value(outcome) for outcome in outcomes]))
        has_ends = np.isfinite([low, high]).all()
        return Estimate(value, low if has_ends else None, high if has_ends else None, ends[0].reason)


def targets_of(manifest: Manifest, samples: Samples) -> torch.Tensor:
    """Labels as float64 (N, K): one-hot, or the label sets as ones and zeros."""
    targets_NK = torch.zeros(len(samples), len(manifest.classes), dtype=torch.float64)
    index = manifest.class_index
    for row, sample in enumerate(samples):
        targets_NK[row, [index[name] for name in manifest.classes_of(sample)]] = 1
    return targets_NK


def measure_heads(task: Task, features: Features, *, is_brief: bool = False) -> list[Measured]:
    """Every head that suits the labels, with every use of the views.

    is_brief: only the first head, on all views together.
    """
    targets_NK, views = task.targets_NK, task.manifest.views
    divisions = [ViewFolds(features, targets_NK, folds_N, views) for folds_N in task.folds_RN]
    ordered, is_set = task.kind.ordered, task.kind.is_set
    measured = []
    most = 1 if is_brief else None
    for head in heads_for(ordered=ordered, is_set=is_set)[:most]:
        start, runs = time.perf_counter(), dict[str, list[Predictions]]()
        for division in divisions:
            answers = division.probabilities(head, ordered=ordered, is_set=is_set)
            for use, probabilities_NK in islice(answers, most):
                runs.setdefault(use, []).append(task.answers(probabilities_NK))
        seconds = time.perf_counter() - start
        measured += [Measured(head.name, use, tuple(of_use), seconds) for use, of_use in runs.items()]
    return measured


def measure_chance(task: Task) -> Measured:
    """The answer that needs no picture: the class frequencies, for every sample."""
    frequencies_NK = task.targets_NK.mean(0).expand(len(task.samples), -1)
    return Measured("class frequencies", "none", (task.predictions(frequencies_NK),), 0.0)


def best_first(metric: metrics.Metric, values: Sequence[float]) -> list[int]:
    """Places of `values` from the best to the worst; NaN comes last."""
    sign = 1 if metric.better == "lower" else -1
    return sorted(range(len(values)), key=lambda place: (np.isnan(values[place]), sign * values[place]))
