"""The Python API: functions that do what the verbs of the command do, and their results."""

from .functions import check, compare, evaluate, leaderboard, load, load_recipe, probe, resume, suspects, train
from .results import Evaluation, Run
from .suspecting import Suspects

__all__ = [
    "Evaluation",
    "Run",
    "Suspects",
    "check",
    "compare",
    "evaluate",
    "leaderboard",
    "load",
    "load_recipe",
    "probe",
    "resume",
    "suspects",
    "train",
]
