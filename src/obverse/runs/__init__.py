"""Run folders, training events and their observers.

`checkpoint` is not exported here: it needs torch, and a command that finds its folder locked must end without loading
it.
"""

from .events import CheckpointSaved, EpochEnd, Event, Message, Observer, RunFinished, StepEnd
from .failures import explained, is_lack_of_memory
from .rundir import RunFolder, default_run_path, describe_environment, short_name, write_text

__all__ = [
    "CheckpointSaved",
    "EpochEnd",
    "Event",
    "Message",
    "Observer",
    "RunFinished",
    "RunFolder",
    "StepEnd",
    "default_run_path",
    "describe_environment",
    "explained",
    "is_lack_of_memory",
    "short_name",
    "write_text",
]
