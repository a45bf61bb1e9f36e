"""The Python API: functions that do what the verbs of the command do, and their results."""

from .functions import check, compare, evaluate, leaderboard, load, load_recipe, probe, resume, train
from .results import Evaluation, Run

__all__ = [
    "Evaluation",
    "Run",
    "check",
    "compare",
    "evaluate",
    "leaderboard",
    "load",
    "load_recipe",
    "probe",
    "resume",
    "train",
]
