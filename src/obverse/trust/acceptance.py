"""Threshold of confidence from which on answers are accepted, with a promise about the errors among them.

The promise: with 95 % confidence, at most the wanted share of accepted answers is wrong. Thresholds are tested in a
fixed order, from strict to loose, each by an exact binomial test of "more than the wanted share is wrong" (the bound of
Clopper & Pearson 1934), and the last one before the first failure is taken. So no correction for many tests is needed
(fixed-sequence testing; Learn then Test, Angelopoulos et al. 2021, arXiv:2110.01052).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse.decisions import PROMISE, Evidence, calibrated, confidence_of, to_answers, to_probabilities
from obverse.metrics import FloatArray, IntArray, Units
from obverse.recipe import AcceptanceSpec, CalibrationSpec, EvaluationSpec

from .held_out import held_out_answers

# Wanted errors that `tuned` chooses from.
LEVELS = (0.05, 0.1, 0.2)
# Expected errors among the samples of the first test, if the error were the wanted one. With fewer, one unlucky error
# among the most confident answers ends the sequence; with more, a model that is right only when very sure fails.
ERRORS_AT_FIRST = 15.0

BoolArray = npt.NDArray[np.bool_]


def accepted_on_val(
    evidence: Evidence, calibration: CalibrationSpec | None, spec: EvaluationSpec
) -> AcceptanceSpec | None:
    """The rule of acceptance fitted on the evidence of val; None where val has no labelled samples."""
    return _accepted(evidence, held_out_answers(evidence, calibration), spec) if len(evidence.truth) else None


def accepted_in_folds(
    evidence: Evidence, calibration: CalibrationSpec | None, spec: EvaluationSpec
) -> AcceptanceSpec | None:
    """The rule of acceptance fitted on samples that folds left out; None without labelled samples.

    Their answers are by the models of the folds, so that the shipped calibration and thresholds apply as they are.
    """
    if not len(evidence.truth):
        return None
    mapped_NK = calibrated(torch.from_numpy(evidence.logits_NK), calibration).numpy()
    probabilities_NK = to_probabilities(mapped_NK, evidence.kind)
    fitted = _accepted(evidence, (probabilities_NK, to_answers(probabilities_NK, evidence.kind)), spec)
    return fitted.changed({"fitted_on": "folds"})


def _accepted(
    evidence: Evidence, answered: tuple[npt.NDArray[np.float32], npt.NDArray[Any]], spec: EvaluationSpec
) -> AcceptanceSpec:
    probabilities_NK, answers = answered
    is_right_N = answers == evidence.truth
    is_right_N = is_right_N.all(axis=1) if evidence.kind.is_set else is_right_N
    confidence_N = confidence_of(probabilities_NK, answers, evidence.kind)
    wanted = wanted_error(spec, is_right_N, evidence.units)
    return fit_acceptance(confidence_N, is_right_N, evidence.units, wanted=wanted)


def wanted_error(spec: EvaluationSpec, is_right_N: BoolArray, units: Units) -> float:
    """The wanted error of a recipe.

    `tuned`: the least of `LEVELS` that half of the units could promise and that is not below half of the error on val.
    """
    if spec.accepted_error != "tuned":
        return spec.accepted_error
    half = 0.5 * float(1 - is_right_N.mean()) if is_right_N.size else 0.0
    fits = [level for level in LEVELS if level >= half and least_units(level) <= units.num / 2]
    return fits[0] if fits else LEVELS[-1]


def least_units(error: float) -> int:
    """Independent samples that it takes to promise an error, when all of them are right."""
    return math.ceil(math.log(1 - PROMISE) / math.log1p(-error))


def fit_acceptance(confidence_N: FloatArray, is_right_N: BoolArray, units: Units, *, wanted: float) -> AcceptanceSpec:
    """The lowest threshold of confidence that keeps the promise on these samples, which chose nothing before.

    Samples of one group are not independent, so one is drawn from each. The promise is then about a picture of a new
    group.
    """
    rows_G = one_of_each(units)
    order_G = rows_G[np.argsort(-confidence_N[rows_G], kind="stable")]
    sure_G, errors_G = confidence_N[order_G], np.cumsum(~is_right_N[order_G])
    # Answers of equal confidence are accepted together.
    ends_E = np.append(np.flatnonzero(np.diff(sure_G) < 0) + 1, len(sure_G))
    num_accepted = num_tested = 0
    for rank in np.unique(ends_E[np.searchsorted(ends_E, _ranks(len(sure_G), wanted))]).tolist():
        if not _keeps(int(errors_G[rank - 1]), rank, wanted):
            num_tested = 0 if num_accepted else rank
            break
        num_accepted = rank
    return AcceptanceSpec(
        wanted_error=wanted,
        threshold=_floor(sure_G[num_accepted - 1]) if num_accepted else None,
        num_units=len(sure_G),
        are_groups=units.are_groups,
        share=num_accepted / len(sure_G) if num_accepted else 0.0,
        num_right=int(is_right_N[rows_G].sum()),
        num_tested=num_tested,
        num_tested_wrong=int(errors_G[num_tested - 1]) if num_tested else 0,
    )


def one_of_each(units: Units) -> IntArray:
    """Row number of one sample of each unit, drawn at random with a fixed seed."""
    order_N = np.random.default_rng(0).permutation(len(units.of_N))
    _, first_G = np.unique(units.of_N[order_N], return_index=True)
    rows_G: IntArray = order_N[first_G].astype(np.int64)
    return rows_G


def _ranks(num: int, wanted: float) -> list[int]:
    """Numbers of accepted samples that are tested, rising: where one more error becomes tolerable, and all samples.

    They depend on the number of samples alone, not on the errors.
    """
    start = max(least_units(wanted), min(num // 8, math.ceil(ERRORS_AT_FIRST / wanted)))
    ranks = [rank for rank in _steps(num, wanted) if rank >= start]
    return [*ranks, num] if num >= least_units(wanted) else ranks


def _steps(num: int, wanted: float) -> list[int]:
    """For 0, 1, 2 ... errors the least number of samples, up to `num`, by which the test is passed."""
    from scipy.special import bdtr, bdtrin

    errors_E = np.arange(int(num * wanted) + 1)
    # The inverse is a rounded real number, so its neighbours are looked at, the least that passes last.
    near_E = np.ceil(bdtrin(errors_E, 1 - PROMISE, wanted)).astype(np.int64)
    least_E = near_E + 1
    for ranks_E in (near_E, near_E - 1):
        passes_E = (ranks_E > errors_E) & (bdtr(errors_E, ranks_E.clip(1), wanted) <= 1 - PROMISE)
        least_E[passes_E] = ranks_E[passes_E]
    steps: list[int] = np.unique(least_E[least_E <= num]).tolist()
    return steps


def _keeps(num_errors: int, num: int, wanted: float) -> bool:
    """Whether an error above the wanted one would give so few errors in less than 5 % of draws."""
    from scipy.special import bdtr

    return bool(bdtr(num_errors, num, wanted) <= 1 - PROMISE)


def _floor(confidence: Any) -> float:
    """The confidence rounded down to a number of single precision, in which probabilities come."""
    near = np.float32(confidence)
    return float(near if near <= confidence else np.nextafter(near, np.float32(0)))
