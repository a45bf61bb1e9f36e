"""Decisions: conversion of the head's logits to class logits, probabilities and predictions, in torch and numpy."""

from .acceptance import (
    PROMISE,
    VERDICTS,
    Decision,
    Verdict,
    confidence_of,
    decide,
    limit_words,
    most_of_val,
    percent,
    why_none,
)
from .arrays import require_numbers, softmax, to_answers, to_logits, to_probabilities
from .blocks import in_blocks, row_blocks
from .calibration import LEAST_UNITS, Evidence, calibrate, calibrated, cross_probabilities, uncalibrated
from .conformal import PredictionSets, band, fit_sets, promise, sets_of
from .kinds import PLAIN, Kind, LabelSet, OneClass, Truth, kind_of
from .logits import build_output, class_logits, split_views, training_prior
from .outliers import GEN_WEIGHT, OutlierDetector, generalised_entropy, normalised, outlier_scores
from .rules import DECISION, OUTLIER_SCORE, SET, Rules
from .targets import hard_targets, label_targets

__all__ = [
    "DECISION",
    "GEN_WEIGHT",
    "LEAST_UNITS",
    "OUTLIER_SCORE",
    "PLAIN",
    "PROMISE",
    "SET",
    "VERDICTS",
    "Decision",
    "Evidence",
    "Kind",
    "LabelSet",
    "OneClass",
    "OutlierDetector",
    "PredictionSets",
    "Rules",
    "Truth",
    "Verdict",
    "band",
    "build_output",
    "calibrate",
    "calibrated",
    "class_logits",
    "confidence_of",
    "cross_probabilities",
    "decide",
    "fit_sets",
    "generalised_entropy",
    "hard_targets",
    "in_blocks",
    "kind_of",
    "label_targets",
    "limit_words",
    "most_of_val",
    "normalised",
    "outlier_scores",
    "percent",
    "promise",
    "require_numbers",
    "row_blocks",
    "sets_of",
    "softmax",
    "split_views",
    "to_answers",
    "to_logits",
    "to_probabilities",
    "training_prior",
    "uncalibrated",
    "why_none",
]
