"""One of several runs that belong together: begun, resumed or left alone, whatever its folder says.

A folder's lock decides which of several processes trains in it. A run that fails for a reason of its own (diverged,
out of memory, impossible settings) says so in `failure.json`, and is not tried again until that file is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from obverse.errors import BusyError, DivergedError, OutOfMemoryError, OutputError, RecipeError
from obverse.recipe import Recipe
from obverse.runs import Observer, RunFolder, write_text

from .train import Progress, resume_run, start_run

FAILURE = "failure.json"
CONDITION = "condition.json"
MakeObservers = Callable[[], Sequence[Observer]]


@dataclass(frozen=True)
class Outcome:
    """state: `busy` when another process trains there. reason: why it failed."""

    state: Literal["finished", "failed", "busy"]
    reason: str = ""


def train_to_end(
    data: Path, recipe: Recipe, path: Path, *, observers: Sequence[Observer] = (), progress: Progress | None = None
) -> Outcome:
    """Leave a finished run as it is, go on with one that was interrupted, or begin it.

    Errors that would end every run alike (the data, the disk, a signal) are raised.
    """
    known = state_of(path)
    if known is not None:
        return known
    run = RunFolder(path)
    try:
        if run.recipe.is_file():
            resume_run(run, observers=observers)
        else:
            start_run(data, recipe, run, observers=observers, progress=progress)
    except BusyError:
        return Outcome("busy")
    except OutputError:
        if run.recipe.is_file():  # another process began it in this moment
            return Outcome("busy")
        raise
    except (DivergedError, OutOfMemoryError, RecipeError) as error:
        path.mkdir(parents=True, exist_ok=True)
        values = {"error": type(error).__name__, "exit_code": error.exit_code, "said": str(error)}
        write_text(path / FAILURE, json.dumps(values, indent=2) + "\n")
        return Outcome("failed", str(error))
    return Outcome("finished")


def state_of(path: Path) -> Outcome | None:
    """Finished or failed; None for a run that is not at its end."""
    with suppress(OSError, ValueError, KeyError):
        return Outcome("failed", str(json.loads((path / FAILURE).read_text(encoding="utf-8"))["said"]))
    return Outcome("finished") if RunFolder(path).is_finished else None


def forget_failure(path: Path) -> None:
    """Let a failed run be tried again."""
    (path / FAILURE).unlink(missing_ok=True)


def require_same_study(folder: Path, recipe: Recipe, data: Path) -> None:
    """RecipeError when the runs in `folder` were made with other settings; the first visit writes them down."""
    values: dict[str, Any] = {"data": str(data.resolve()), "recipe": recipe.model_dump(mode="json")}
    values["recipe"]["training"].pop("seed")
    file = folder / CONDITION
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            write_text(file, json.dumps(values, indent=1) + "\n")
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{str(file)!r} cannot be used: {error}") from None
    if before == values:
        return
    told = ", ".join(_differing(before, values)) or "the recipe"
    raise RecipeError(f"the runs in {str(folder)!r} were made with other settings ({told}); choose another --out, or "
                      "remove that folder")  # fmt: skip


def _differing(before: Any, now: Any, prefix: str = "") -> list[str]:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [prefix.removeprefix("recipe.")]
    keys = sorted(before.keys() | now.keys())
    return [
        name for key in keys for name in _differing(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else key)
    ]
