"""Observers: each writes events to one place."""

from .console import ConsoleObserver
from .jsonl import JsonlObserver
from .tensorboard import TensorBoardObserver

__all__ = ["ConsoleObserver", "JsonlObserver", "TensorBoardObserver"]
