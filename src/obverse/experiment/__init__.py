"""Composition: recipe -> objects -> train, evaluate, report."""

from .auto import Resolved, resolve
from .evaluate import evaluate_run
from .train import RunResult, follow_run, resume_run, start_run

__all__ = ["Resolved", "RunResult", "evaluate_run", "follow_run", "resolve", "resume_run", "start_run"]
