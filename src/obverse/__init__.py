"""Obverse: image classifiers that look at every side.

The public names, imported on first use: `import obverse` loads no torch, and neither does `obverse --help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        Evaluation,
        Run,
        Suspects,
        check,
        compare,
        evaluate,
        leaderboard,
        load,
        load_recipe,
        probe,
        resume,
        suspects,
        train,
    )
    from .errors import Interrupted, ObverseError
    from .inference import Failure, Prediction, Predictor
    from .manifest.check import Check
    from .probing import Probe
    from .recipe import Recipe
    from .studies.compare import Comparison
    from .studies.leaderboard import Leaderboard

    __version__: str

__all__ = [
    "Check",
    "Comparison",
    "Evaluation",
    "Failure",
    "Interrupted",
    "Leaderboard",
    "ObverseError",
    "Prediction",
    "Predictor",
    "Probe",
    "Recipe",
    "Run",
    "Suspects",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "leaderboard",
    "load",
    "load_recipe",
    "probe",
    "resume",
    "suspects",
    "train",
]

_ROOMS = {
    "api": (
        "Evaluation",
        "Run",
        "Suspects",
        "check",
        "compare",
        "evaluate",
        "leaderboard",
        "load",
        "load_recipe",
        "probe",
        "resume",
        "suspects",
        "train",
    ),
    "errors": ("Interrupted", "ObverseError"),
    "inference": ("Failure", "Prediction", "Predictor"),
    "manifest.check": ("Check",),
    "probing": ("Probe",),
    "recipe": ("Recipe",),
    "studies.compare": ("Comparison",),
    "studies.leaderboard": ("Leaderboard",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("obverse")
    elif name in _ROOM_OF:
        from importlib import import_module

        value = getattr(import_module(f"obverse.{_ROOM_OF[name]}"), name)
    else:
        raise AttributeError(f"module 'obverse' has no attribute {name!r}")
    globals()[name] = value  # so that the next use costs nothing
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
