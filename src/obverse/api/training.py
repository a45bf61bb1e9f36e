"""Training from options to a finished run, for the verb `train` and for `obverse.train`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import RecipeError
from obverse.launch import launched

from .short_forms import as_settings

if TYPE_CHECKING:
    from obverse.experiment import Progress, RunResult
    from obverse.recipe import Recipe
    from obverse.runs import Observer, RunFolder

# Time to wait for the run folder's lock after a restart: loader processes of a killed rank hold it until they notice.
ENDING_SECONDS = 30
# Options that cannot change with more epochs, because the parent's weights and data decide them.
DECIDED_BY_WEIGHTS = ("--layout", "--size", "--model", "--weights", "--epochs")


def open_folder(run: Path | None, data: Path | None, recipe: Recipe | None) -> tuple[RunFolder, Recipe | None]:
    """The run folder (by default runs/DATA-DATE-TIME), claimed for a new run; and the recipe, None to resume.

    Does not import torch, which takes seconds: when several processes start in one folder, all but one end at once.
    """
    from obverse.runs import RunFolder, default_run_path

    launch = launched()
    if launch.max_restarts and run is None:
        raise RecipeError("torchrun --max-restarts needs --run, so that processes that are started again find the run")
    path = run if run is not None else default_run_path(data or Path(), datetime.now())
    folder = RunFolder(path, patience_seconds=ENDING_SECONDS if launch.num_restarts else 0)
    recipe = recipe or _recipe_of_choice(folder)
    # A launcher that restarts its processes continues the run that they have started.
    if recipe is None or folder.began_under(launch):
        folder.reopen()
        return folder, None
    folder.claim()
    return folder, recipe


def _recipe_of_choice(folder: RunFolder) -> Recipe | None:
    """The recipe of a run that was stopped while it chose a way of training, with its data; None for any other."""
    file = folder.choice_condition
    if folder.recipe.is_file() or not file.is_file():
        return None
    from obverse.files import read_json_object
    from obverse.recipe import build_recipe

    return build_recipe(read_json_object(file)["recipe"], str(file))


def recipe_for_more_epochs(
    parent: Path, epochs: int, settings: Sequence[str], forms: Mapping[str, Any], named: Sequence[str]
) -> Recipe:
    """The recipe of a run with more epochs of `parent`. named: `--recipe`, where the user gave it.

    Raises RecipeError for options that the parent's weights decide.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise RecipeError(f"--more-epochs {epochs!r}: write a whole number of at least 1")
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
    computing: Progress = lambda done, total: None,
    force: bool = False,
) -> RunResult:
    """The result of a new run; without a recipe, of resuming the run in `folder`.

    Of a new run whose recipe leaves the backbone open, it is chosen first, where several pretrained ones are at hand.

    progress: called with (done, total) while pictures are read.
    computing: called with (done, total) samples while backbones are compared.
    force: resume although the recipe or the data has changed.
    """
    from obverse.experiment import resume_run, start_run

    if recipe is None:
        result = resume_run(folder, observers=observers, force=force)
        if not folder.choice_file.is_file():
            return result
        from obverse.studies.choice import with_out_of_fold

        return with_out_of_fold(folder, result)
    source = data or Path(recipe.data.path or "")
    from obverse.probing import choose_backbone

    choose = partial(choose_backbone, computing=computing)
    if recipe.choice is None:
        return start_run(source, recipe, folder, observers=observers, progress=progress, choose=choose)
    if launched().world_size > 1:
        raise RecipeError("choice trains many runs one after the other, by one process; leave out --processes and "
                          "torchrun, or add --set choice=null")  # fmt: skip
    from obverse.studies.choice import train_chosen

    return train_chosen(source, recipe, folder, observers=observers, progress=progress, choose=choose)
