"""Steps, events, checkpoints."""

from .optim import build_optimizer
from .signals import catch_signals
from .step import train_step
from .trainer import Loaders, Trainer

__all__ = ["Loaders", "Trainer", "build_optimizer", "catch_signals", "train_step"]
