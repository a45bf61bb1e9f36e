"""Answers on val as new samples would get them: nothing that is fitted on val is fitted on the sample itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from obverse.decisions import Evidence, LabelSet, cross_probabilities, to_answers
from obverse.metrics import best_thresholds
from obverse.recipe import CalibrationSpec

Float32Array = npt.NDArray[np.float32]


def held_out_answers(evidence: Evidence, calibration: CalibrationSpec | None) -> tuple[Float32Array, npt.NDArray[Any]]:
    """Probabilities (N, K) and answers of each sample, by a calibration and thresholds fitted on the other folds.

    The epoch, and a tuned prior, were chosen on all of val. That makes the answers slightly better than on new samples.
    """
    probabilities_NK = cross_probabilities(evidence, calibration)
    if not evidence.kind.is_set:
        return probabilities_NK, to_answers(probabilities_NK, evidence.kind)
    answers_NK = np.zeros(evidence.truth.shape, np.bool_)
    for fold in np.unique(evidence.fold_N).tolist():
        out_N = evidence.fold_N == fold
        thresholds = best_thresholds(evidence.truth[~out_N], probabilities_NK[~out_N])
        answers_NK[out_N] = to_answers(probabilities_NK[out_N], LabelSet(tuple(thresholds)))
    return probabilities_NK, answers_NK
