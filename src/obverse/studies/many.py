"""Runs of a study: start, resume or skip a run, depending on its folder.

When several processes work on a study, a run folder's lock decides which one trains the run. A run that fails for a
reason of its own (diverged, out of memory, impossible settings) leaves `failure.json`, and is not tried again until
that file is removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from obverse.errors import (
    BusyError,
    DataError,
    DivergedError,
    Interrupted,
    ObverseError,
    OutOfMemoryError,
    OutputError,
    RecipeError,
)
from obverse.evaluation import create_folder
from obverse.experiment import Progress, resume_run, start_run
from obverse.files import read_json, read_json_object
from obverse.recipe import Recipe
from obverse.runs import Observer, RunFolder, write_text

FAILURE = "failure.json"
CONDITION = "condition.json"
STOPPED = "stopped by a signal; everything is saved, and the same command goes on"
OWN_REASONS = (DivergedError, OutOfMemoryError, RecipeError)
MakeObservers = Callable[[], Sequence[Observer]]


@dataclass(frozen=True)
class Outcome:
    """State of one run of a study."""

    state: Literal["finished", "failed", "busy"]
    """busy: not at its end, for example because another process trains it."""

    reason: str = ""
    """Why the run failed, or is not finished."""

    error: type[ObverseError] | None = None
    """Class of the error with which the run failed."""


def train_to_end(
    data: Path, recipe: Recipe, path: Path, *, observers: Sequence[Observer] = (), progress: Progress | None = None
) -> Outcome:
    """The outcome of a run, after starting or resuming it. A finished or failed run is skipped.

    A failure of the run itself (`OWN_REASONS`) is recorded and returned. Raises all other errors, such as those of the
    data or the disk, because they would end every run of the study.
    """
    known = state_of(path)
    if known is not None:
        return known
    run = RunFolder(path)
    try:
        if run.recipe.is_file():
            resume_run(run, observers=observers)
        elif _is_taken(run):
            return Outcome("busy")
        else:
            start_run(data, recipe, run, observers=observers, progress=progress)
    except BusyError:
        return Outcome("busy")
    except Interrupted as stop:
        raise Interrupted(STOPPED, stop.exit_code - 128) from None
    except OWN_REASONS as error:
        return record_failure(path, error)
    return Outcome("finished")


def _is_taken(run: RunFolder) -> bool:
    """Whether another process has just started a run in this folder; otherwise the folder is claimed."""
    try:
        run.claim()
    except OutputError:
        if run.recipe.is_file():
            return True
        raise
    return False


def record_failure(path: Path, error: ObverseError) -> Outcome:
    """The failed outcome, after writing `failure.json`, which keeps the run from being tried again."""
    path.mkdir(parents=True, exist_ok=True)
    values = {"error": type(error).__name__, "exit_code": error.exit_code, "said": str(error)}
    write_text(path / FAILURE, json.dumps(values, indent=2) + "\n")
    return Outcome("failed", str(error), type(error))


def state_of(path: Path) -> Outcome | None:
    """The outcome of a finished or failed run; None for any other."""
    with suppress(DataError, KeyError):
        values = read_json_object(path / FAILURE)
        error = next((kind for kind in OWN_REASONS if kind.exit_code == values["exit_code"]), None)
        return Outcome("failed", str(values["said"]), error)
    return Outcome("finished") if RunFolder(path).is_finished else None


def forget_failure(path: Path) -> None:
    """Remove `failure.json`, so that a failed run is tried again."""
    (path / FAILURE).unlink(missing_ok=True)


def require_same_study(folder: Path, recipe: Recipe, data: Path) -> None:
    """Raise RecipeError when the runs in `folder` have other settings than these; the first call records the settings.

    Where the folder has only failed runs, as after impossible settings, the new settings replace the old.
    """
    file, values = folder / CONDITION, study_facts(recipe, data)
    create_folder(folder)
    if file.is_file() and _read(file) != values and all(path.name == FAILURE for path in folder.glob("*/*")):
        for failure in folder.glob(f"*/{FAILURE}"):
            forget_failure(failure.parent)
        file.unlink()
    require_same(file, values)


def study_facts(recipe: Recipe, data: Path) -> dict[str, Any]:
    """Settings that the runs of one condition share: data and recipe, without the seed."""
    values: dict[str, Any] = {"data": str(data.resolve()), "recipe": recipe.model_dump(mode="json")}
    values["recipe"]["training"].pop("seed")
    return values


def require_same(file: Path, values: dict[str, Any]) -> None:
    """Raise RecipeError when `file` has other values; the first call writes it. Its folder must exist."""
    if not file.is_file():
        write_text(file, json.dumps(values, indent=1) + "\n")
    before = _read(file)
    if before != values:
        listed = ", ".join(_differing(before, values)) or "the recipe"
        raise RecipeError(f"the runs in {str(file.parent)!r} were made with other settings ({listed}); give another "
                          "folder for the new ones, or remove that one")  # fmt: skip


def _read(file: Path) -> Any:
    try:
        return read_json(file)
    except DataError as error:
        raise OutputError(f"{error}; choose another --out, or remove that folder") from None


def _differing(before: Any, now: Any, prefix: str = "") -> list[str]:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [prefix.removeprefix("recipe.")]
    keys = sorted(before.keys() | now.keys())
    return [
        name for key in keys for name in _differing(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else key)
    ]
