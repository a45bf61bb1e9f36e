"""The Python API: functions that do what the verbs of the command do, and their results."""

from .functions import check, compare, evaluate, load, load_recipe, probe, resume, runs, train
from .results import Evaluation, Run

__all__ = [
    "Evaluation",
    "Run",
    "check",
    "compare",
    "evaluate",
    "load",
    "load_recipe",
    "probe",
    "resume",
    "runs",
    "train",
]
