"""Observers: each writes events to one place."""

from .console import ConsoleObserver
from .jsonl import JsonlObserver
from .trackers import dotted, open_tensorboard, open_tracker, require_trackers
from .watch import Watch

__all__ = [
    "ConsoleObserver",
    "JsonlObserver",
    "Watch",
    "dotted",
    "open_tensorboard",
    "open_tracker",
    "require_trackers",
]
