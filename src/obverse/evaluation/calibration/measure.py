"""Scores of the probabilities before calibration."""

from __future__ import annotations

from dataclasses import replace

from obverse import metrics
from obverse.evaluation.estimates import Estimate, estimate
from obverse.evaluation.predictions import Predictions


def uncalibrated_estimates(predictions: Predictions) -> dict[str, Estimate | None] | None:
    """Estimates from the probabilities before calibration, metric by metric; None where there is no calibration."""
    earlier = before_calibration(predictions)
    if earlier is None:
        return None
    answers = earlier.outcome
    return {m.name: estimate(m.value(answers), m.interval(answers)) for m in metrics.PROBABILITIES}


def before_calibration(predictions: Predictions) -> Predictions | None:
    """The labelled predictions with the probabilities before calibration; None where there is no calibration."""
    if predictions.uncalibrated_NK is None:
        return None
    return replace(predictions, probabilities_NK=predictions.uncalibrated_NK).labelled()
