"""What happened, on disk.

`checkpoint` is imported by its own name: it needs torch, and whoever finds a folder locked must not wait for torch.
"""

from .events import CheckpointSaved, EpochEnd, Event, Message, Observer, StepEnd
from .rundir import RunFolder, default_run_path, describe_environment, write_text

__all__ = [
    "CheckpointSaved",
    "EpochEnd",
    "Event",
    "Message",
    "Observer",
    "RunFolder",
    "StepEnd",
    "default_run_path",
    "describe_environment",
    "write_text",
]
