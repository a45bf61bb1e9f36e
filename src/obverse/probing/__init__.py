"""Comparison of pretrained backbones on a data set, before anything is trained."""

from .candidates import Candidate, candidates_of
from .choice import choose_backbone, contestants
from .out_of_fold import FrozenAnswers, frozen_answers
from .probe import MOST_SAMPLES, Plan, probe
from .result import MOST_PRINTED, Probe, Row

__all__ = [
    "MOST_PRINTED",
    "MOST_SAMPLES",
    "Candidate",
    "FrozenAnswers",
    "Plan",
    "Probe",
    "Row",
    "candidates_of",
    "choose_backbone",
    "contestants",
    "frozen_answers",
    "probe",
]
