"""Answers in a few words, for pages and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obverse.inference.prediction import Prediction

if TYPE_CHECKING:  # the predictor writes results itself
    from obverse.inference.predictor import Predictor

MOST_LABELS = 6


def answer_words(answer: Prediction) -> str:
    """The answer with its probability: `MS64 87.3 %`; of a label set each class with its own."""
    if not answer.labels:
        return "no class reaches its threshold"
    words = [f"{name} {100 * probability:.1f} %" for name, probability in answer.labels[:MOST_LABELS]]
    more = len(answer.labels) - MOST_LABELS
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def set_words_of(answer: Prediction) -> str:
    """The prediction set with its level: `set: MS63 to MS65, 90 %`; empty for a model without a rule of sets."""
    return f"set: {answer.set_words}, {100 * answer.set_level:g} %" if answer.set_level is not None else ""


def percent_note(predictor: Predictor) -> str:
    """What a predictor's percentages mean: whether they are calibrated."""
    output = predictor.bundle.output
    meaning = "are not calibrated" if output.calibration is None else "are calibrated on val"
    augmented = ", without the test-time augmentation" * (predictor.is_augmented and output.calibration is not None)
    thresholds = "; each class has its own threshold" * (output.kind == "binary")
    return f"percentages {meaning}{augmented}{thresholds}"
