"""Experiment trackers that a recipe names. Their packages are imported only when one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from obverse.errors import UnavailableError
from obverse.runs.events import Observer
from obverse.runs.rundir import RunFolder

_FILES = {"mlflow": ("mlflow_store", "MlflowObserver"), "wandb": ("wandb_run", "WandbObserver")}


def require_trackers(names: Sequence[str]) -> None:
    """UnavailableError when the package of a tracker is missing; imports none of them."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"training.trackers names {', '.join(missing)}, which is not installed: "
                               "pip install 'obverse[track]', or leave it out")  # fmt: skip


def open_tracker(name: str, run: RunFolder, settings: dict[str, Any]) -> Observer:
    """The observer of a tracker. settings: name -> value of the resolved recipe (`dotted`).

    Trackers raise exceptions of any type.
    """
    file, kind = _FILES[name]
    build: Callable[[RunFolder, dict[str, Any]], Observer] = getattr(import_module(f"{__package__}.{file}"), kind)
    return build(run, settings)


def open_tensorboard(folder: Path, settings: Mapping[str, Any]) -> Observer:
    """The observer that writes for TensorBoard, whose import takes a second and 60 MB that only training needs."""
    from .tensorboard import TensorBoardObserver

    return TensorBoardObserver(folder, settings)


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested settings under dotted names, such as `optim.lr`."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        leaves |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves
