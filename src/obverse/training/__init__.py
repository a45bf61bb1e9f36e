"""The training loop: optimizer steps, schedules, distributed training, events and checkpoints."""

from .ema import WeightAverage
from .loaders import Loaders
from .micro_batches import MicroBatches
from .optim import build_optimizer
from .pace import Repeat
from .parallel import Parallel
from .progress import Progress
from .signals import catch_signals, workers_explained
from .step import Update, train_step
from .trainer import Trainer

__all__ = [
    "Loaders",
    "MicroBatches",
    "Parallel",
    "Progress",
    "Repeat",
    "Trainer",
    "Update",
    "WeightAverage",
    "build_optimizer",
    "catch_signals",
    "train_step",
    "workers_explained",
]
