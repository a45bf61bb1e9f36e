"""Run folders, training events and their observers.

`checkpoint` is not exported here: it needs torch, and a command that finds its folder locked must end without loading
it.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from .events import CheckpointSaved, EpochEnd, Event, Message, Observer, StepEnd
from .failures import explained, is_lack_of_memory
from .rundir import RunFolder, default_run_path, describe_environment, short_name, write_text

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
    "explained",
    "is_lack_of_memory",
    "short_name",
    "write_text",
]


class _Callable(ModuleType):
    """This room, which can be called: `obverse.runs` is also the function of the Python API.

    Python sets the attribute `runs` of the package to this room as soon as anything imports it.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `obverse.api.runs` returns."""
        return import_module("obverse.api").runs(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
