"""Choice of a calibration's form by cross-fitting on val.

A richer form is taken where its log loss on samples that it was not fitted on is better than that of temperature by
more than one standard error. Any form is left out where it makes the answers worse by more than that. Temperature keeps
the most probable class, but may move the median of ordered classes, so that it is left out from two standard errors on:
of a few samples one is chance, and a median that spread targets pulled to the middle needs the temperature most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse.decisions.arrays import to_answers, to_probabilities
from obverse.decisions.blocks import in_blocks
from obverse.decisions.kinds import Kind
from obverse.metrics import Units, spread
from obverse.recipe import CalibrationForm, CalibrationSpec

from .apply import calibrated
from .fit import FloatArray, fit_form, losses_of

# Fewer independent samples say too little about a temperature. The prior of `fit_form` is worth a few of them.
LEAST_UNITS = 8
NUM_FOLDS = 5
# Samples per class from which on a form with parameters of each class is tried.
PER_CLASS = 20
# More samples do not change the parameters, but take time.
MOST_SAMPLES = 10_000
# Logits up to which forms with parameters of each class are tried, for the same reason.
MOST_LOGITS = 2_000_000


@dataclass(frozen=True, eq=False)
class Evidence:
    """Class logits of val with their truth, from which a calibration is fitted. Every sample must have a label."""

    logits_NK: npt.NDArray[np.float32]
    """Class logits, after the prior."""

    truth: npt.NDArray[np.int64] | npt.NDArray[np.bool_]
    """Class indices (N), or label sets (N, K)."""

    kind: Kind
    units: Units

    weights_N: FloatArray
    """How much each sample counts: above 1 for classes that are more frequent in use than on val."""

    keeps_frequencies: bool = True
    """Whether class frequencies may be corrected. Not where the recipe counts rare classes more on purpose."""

    @cached_property
    def fold_N(self) -> npt.NDArray[np.int64]:
        """Fold of each sample: a unit lies in one fold, and the classes are spread over folds."""
        first_G = np.zeros(self.units.num, np.int64)
        first_G[self.units.of_N] = self.truth.argmax(1) if self.truth.ndim == 2 else self.truth
        fold_G = np.empty(self.units.num, np.int64)
        fold_G[np.argsort(first_G, kind="stable")] = np.arange(self.units.num) % NUM_FOLDS
        return fold_G[self.units.of_N]

    def forms(self) -> list[CalibrationForm]:
        """The forms that these samples suffice for, temperature first."""
        num, num_classes = self.logits_NK.shape
        enough = num >= PER_CLASS * num_classes and num * num_classes <= MOST_LOGITS and self.keeps_frequencies
        if not enough or num_classes < 2:
            return ["temperature"]
        return ["temperature", "platt" if self.kind.is_set or num_classes == 2 else "vector"]

    def take(self, rows_M: npt.NDArray[np.int64]) -> Evidence:
        """The evidence of some rows."""
        return Evidence(
            self.logits_NK[rows_M],
            self.truth[rows_M],
            self.kind,
            self.units.take(rows_M),
            self.weights_N[rows_M],
            self.keeps_frequencies,
        )

    def is_better(self, values_N: FloatArray, others_N: FloatArray, *, errors: float = 1.0) -> bool:
        """Whether the mean of the first is below that of the second by more than so many standard errors."""
        gains_N = (others_N - values_N) * self.weights_N
        error = math.sqrt(spread((gains_N - gains_N.mean()) / len(gains_N), self.units).variance)
        return bool(gains_N.mean() > errors * error)


def calibrate(evidence: Evidence) -> CalibrationSpec | None:
    """The calibration for these samples, fitted on all of them; None where they are too few or none helps."""
    if evidence.units.num < LEAST_UNITS:
        return None
    if len(evidence.truth) > MOST_SAMPLES:
        rows_M = np.random.default_rng(0).choice(len(evidence.truth), MOST_SAMPLES, replace=False)
        evidence = evidence.take(np.sort(rows_M))
    raw_N = _costs(evidence, evidence.logits_NK)
    chosen: CalibrationForm | None = None
    best_N: FloatArray | None = None
    for form in evidence.forms():
        mapped_NK = _cross_fitted(evidence, form)
        losses_N, costs_N = losses_of(mapped_NK, evidence.truth, None), _costs(evidence, mapped_NK)
        if evidence.is_better(raw_N, costs_N, errors=2.0 if form == "temperature" else 1.0):
            continue
        if best_N is None or evidence.is_better(losses_N, best_N):
            chosen, best_N = form, losses_N
    if chosen is None:
        return None
    return fit_form(chosen, evidence.logits_NK, evidence.truth, weights_N=evidence.weights_N)


def cross_probabilities(evidence: Evidence, spec: CalibrationSpec | None) -> npt.NDArray[np.float32]:
    """Probabilities (N, K), those of each sample calibrated by a fit on the other folds, in the form of `spec`.

    They stand for new samples. Where there are more samples than a fit uses, `spec` itself is applied: it then knows
    too little of each sample to matter.
    """
    if spec is None or len(evidence.truth) > MOST_SAMPLES:
        return calibrated_probabilities(evidence, spec)
    return to_probabilities(_cross_fitted(evidence, spec.kind).astype(np.float32), evidence.kind)


def calibrated_probabilities(evidence: Evidence, spec: CalibrationSpec | None) -> npt.NDArray[np.float32]:
    """Probabilities (N, K) after a calibration, block by block, because the whole logits would be one array more."""

    def of(rows: slice) -> torch.Tensor:
        return evidence.kind.probabilities(calibrated(torch.from_numpy(evidence.logits_NK[rows]), spec))

    probabilities_NK: npt.NDArray[np.float32] = in_blocks(of, *evidence.logits_NK.shape).numpy()
    return probabilities_NK


def _cross_fitted(evidence: Evidence, form: CalibrationForm) -> FloatArray:
    """The logits (N, K) of each sample, mapped by the calibration that was fitted on the other folds."""
    mapped_NK = np.empty(evidence.logits_NK.shape, np.float64)
    for fold in range(NUM_FOLDS):
        out_N = evidence.fold_N == fold
        rest = evidence.take(np.flatnonzero(~out_N))
        spec = fit_form(form, rest.logits_NK, rest.truth, weights_N=rest.weights_N)
        mapped_NK[out_N] = calibrated(torch.tensor(evidence.logits_NK[out_N], dtype=torch.float64), spec).numpy()
    return mapped_NK


def _costs(evidence: Evidence, logits_NK: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """What each answer costs: a wrong one 1, and read by median or mean the steps to the label.

    Of label sets nothing: their thresholds are chosen afterwards and move with the probabilities.
    """
    if evidence.kind.is_set:
        return np.zeros(len(logits_NK))
    answers_N = to_answers(to_probabilities(logits_NK.astype(np.float32, copy=False), evidence.kind), evidence.kind)
    steps_N = np.abs(answers_N - evidence.truth).astype(np.float64)
    by_mode = getattr(evidence.kind, "decode", "mode") == "mode"
    costs_N: FloatArray = np.minimum(steps_N, 1.0) if by_mode else steps_N
    return costs_N
