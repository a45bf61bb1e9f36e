"""What happened, on disk."""

from .checkpoint import Checkpoint, load_newest, save_checkpoint
from .events import CheckpointSaved, EpochEnd, Event, Message, Observer, StepEnd
from .rundir import RunFolder, default_run_path, describe_environment, write_text

__all__ = [
    "Checkpoint",
    "CheckpointSaved",
    "EpochEnd",
    "Event",
    "Message",
    "Observer",
    "RunFolder",
    "StepEnd",
    "default_run_path",
    "describe_environment",
    "load_newest",
    "save_checkpoint",
    "write_text",
]
