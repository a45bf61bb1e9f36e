"""Steps, events, checkpoints."""

from .loaders import Loaders
from .micro_batches import MicroBatches
from .optim import build_optimizer
from .signals import catch_signals
from .step import Update, train_step
from .trainer import Trainer

__all__ = ["Loaders", "MicroBatches", "Trainer", "Update", "build_optimizer", "catch_signals", "train_step"]
