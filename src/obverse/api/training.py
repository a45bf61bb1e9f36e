"""A training, from options to a finished run: what the verb `train` and `obverse.train` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import RecipeError
from obverse.launch import launched

from .short_forms import as_settings

if TYPE_CHECKING:
    from obverse.experiment import Progress, RunResult
    from obverse.recipe import Recipe
    from obverse.runs import Observer, RunFolder

# The loaders' processes of a rank that was killed hold its lock until they notice.
ENDING_SECONDS = 30
# What more epochs take from the run that they follow.
DECIDED_BY_WEIGHTS = ("--layout", "--size", "--model", "--weights", "--epochs")


def open_folder(run: Path | None, data: Path | None, recipe: Recipe | None) -> tuple[RunFolder, Recipe | None]:
    """The folder of a run (by default runs/DATA-DATE-TIME), claimed for a new one; and `recipe`, or None to resume.

    Needs no torch, which takes seconds to load: of several starts in one folder all but one leave at once.
    """
    from obverse.runs import RunFolder, default_run_path

    launch = launched()
    if launch.max_restarts and run is None:
        raise RecipeError("torchrun --max-restarts needs --run, so that processes that are started again find the run")
    path = run if run is not None else default_run_path(data or Path(), datetime.now())
    folder = RunFolder(path, patience_seconds=ENDING_SECONDS if launch.num_restarts else 0)
    # A launcher that starts the processes again means the run that they have begun.
    if recipe is None or folder.began_under(launch):
        folder.reopen()
        return folder, None
    folder.claim()
    return folder, recipe


def recipe_for_more_epochs(
    parent: Path, epochs: int, settings: Sequence[str], forms: Mapping[str, Any], named: Sequence[str]
) -> Recipe:
    """The recipe of a run for more epochs of `parent`. named: the option `--recipe`, where it was given."""
    fixed = [*named, *(option for option in forms if option in DECIDED_BY_WEIGHTS)]
    if fixed:
        raise RecipeError(f"--more-epochs goes on with the run's own recipe and weights; leave out {', '.join(fixed)}")
    short = as_settings(settings, forms)
    from obverse.experiment import continued

    return continued(parent, [*settings, *short.values()], epochs=epochs)


def train_in(
    folder: RunFolder,
    data: Path | None,
    recipe: Recipe | None,
    *,
    observers: Sequence[Observer],
    progress: Progress,
    force: bool = False,
) -> RunResult:
    """Train a new run; without a recipe, resume the one in `folder`. force: resume although it has changed."""
    from obverse.experiment import resume_run, start_run

    if recipe is None:
        return resume_run(folder, observers=observers, force=force)
    assert data is not None
    return start_run(data, recipe, folder, observers=observers, progress=progress)
