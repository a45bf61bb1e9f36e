"""Fit of the rule of sets on val, after prior and calibration.

Scores of val come from a calibration that was not fitted on the same samples where they are few. Which rule ships is
chosen by the mean size of sets on samples that its threshold was not fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from obverse.decisions.calibration import Evidence, calibrated_probabilities, cross_probabilities
from obverse.recipe import CalibrationSpec, SetsKind, SetsSpec

from .apply import scores_of, within_limits
from .quantile import Draws, FloatArray, threshold

# Independent samples below which a temperature is fitted anew for the scores of each fold. Forms with parameters of
# each class always are: fitted on the samples that they score, they make sets too small (benchmarks/promises.py).
CROSS_FITTED_BELOW = 200
# Samples that are scored. More would make the threshold no more exact in practice.
MOST_SAMPLES = 10_000
# Independent samples of every class from which on the promise is kept for each class by itself. The coverage of a class
# then lies within 85 and 94.5 % for a level of 90 %.
PER_CLASS = 100
# Classes from which on RAPS is tried, with the constants of its authors for ImageNet (Angelopoulos et al. 2021).
MANY_CLASSES = 50
MORE: Mapping[SetsKind, Mapping[str, float]] = {"raps": {"rank": 5, "penalty": 0.01}}
# Decimal places of a threshold, which is rounded up.
DECIMALS = 9


def fit_sets(
    evidence: Evidence,
    calibration: CalibrationSpec | None,
    *,
    level: float,
    confidence: float | None = None,
    fitted_on: Literal["val", "folds"] = "val",
) -> SetsSpec:
    """The rule of sets for these samples.

    calibration: the one fitted on the same samples. level, confidence, fitted_on: see `SetsSpec`.
    """
    if len(evidence.truth) > MOST_SAMPLES:
        rows_M = np.random.default_rng(0).choice(len(evidence.truth), MOST_SAMPLES, replace=False)
        evidence = evidence.take(np.sort(rows_M))
    probabilities_NK = scored_probabilities(evidence, calibration)
    common = {"level": level, "confidence": confidence, "fitted_on": fitted_on, "quantile": (None,), "num_units": 0}
    rules = [SetsSpec.model_validate({**common, "kind": kind, **MORE.get(kind, {})}) for kind in _kinds(evidence)]
    if len(rules) > 1:
        rules.sort(key=lambda rule: _held_out_size(evidence, probabilities_NK, rule))
    return _fitted(evidence, scores_of(probabilities_NK, evidence.kind, rules[0]), rules[0])


def _kinds(evidence: Evidence) -> Sequence[SetsKind]:
    """The rules that suit the classes; of two whose sets are equally large, the first ships."""
    if evidence.kind.is_set:
        return ("labels",)
    if evidence.kind.ordered:
        return ("range", "rps")
    return ("raps", "lac") if evidence.logits_NK.shape[1] >= MANY_CLASSES else ("lac",)


def scored_probabilities(evidence: Evidence, calibration: CalibrationSpec | None) -> FloatArray:
    """Probabilities (N, K) from which the scores of val come, as those of new samples would be."""
    is_richer = calibration is not None and calibration.kind != "temperature"
    if is_richer or evidence.units.num < CROSS_FITTED_BELOW:
        return cross_probabilities(evidence, calibration).astype(np.float64)
    return calibrated_probabilities(evidence, calibration).astype(np.float64)


def _fitted(evidence: Evidence, scores_NK: FloatArray, rule: SetsSpec) -> SetsSpec:
    """The rule with its threshold, or with one for each class where all classes have enough samples."""
    num_classes, units = scores_NK.shape[1], evidence.units
    if rule.kind == "lac" and num_classes > 1:
        least = int(units.per_class(evidence.truth.astype(np.int64), num_classes).min())
        if least >= PER_CLASS:
            rows = [np.flatnonzero(evidence.truth == k) for k in range(num_classes)]
            draws = [Draws.of_true_classes(scores_NK[r], evidence.truth[r], units.take(r)) for r in rows]
            return rule.changed({"quantile": tuple(_rounded_up(each, rule) for each in draws), "num_units": least})
    every = Draws.of_true_classes(scores_NK, evidence.truth, units)
    return rule.changed({"quantile": (_rounded_up(every, rule),), "num_units": every.num_units})


def _rounded_up(draws: Draws, rule: SetsSpec) -> float | None:
    limit = threshold(draws, level=rule.level, confidence=rule.confidence)
    return None if limit is None else math.ceil(limit * 10**DECIMALS) / 10**DECIMALS


def _held_out_size(evidence: Evidence, probabilities_NK: FloatArray, rule: SetsSpec) -> float:
    """Mean size of the sets of each fold, by the threshold of the other folds."""
    total, scores_NK = 0, scores_of(probabilities_NK, evidence.kind, rule)
    for fold in np.unique(evidence.fold_N):
        out_M, rest_M = np.flatnonzero(evidence.fold_N == fold), np.flatnonzero(evidence.fold_N != fold)
        fitted = _fitted(evidence.take(rest_M), scores_NK[rest_M], rule)
        total += int(within_limits(torch.from_numpy(scores_NK[out_M]), fitted).sum())
    return total / len(probabilities_NK)
