"""More epochs for a finished run: a new run on the same data and split, which starts from the parent's shipped weights.

Unlike a resumed run, it has a new optimizer, and its schedule starts again with warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obverse.bundle import find_bundle, read_bundle, read_description
from obverse.errors import DataError, RecipeError
from obverse.manifest import Manifest
from obverse.models import Classifier
from obverse.recipe import ParentSpec, Recipe, load_recipe
from obverse.runs import RunFolder

from .identity import run_recipe

# Prefixes of settings that cannot change, because the parent's weights and data decide them.
FIXED = ("data.", "data=", "model.", "model=", "distill", "finetune.head_first", "parent")


def continued(parent: Path, settings: Sequence[str], *, epochs: int) -> Recipe:
    """The recipe of a run that trains `parent` for `epochs` more epochs, with changed `settings`.

    Raises DataError when `parent` is no finished run folder, and RecipeError for a setting that its weights decide.
    """
    run = RunFolder(parent)
    bundle, digest = read_description(find_bundle(parent))
    if bundle.trained.get("refit"):
        raise RecipeError(f"{str(parent)!r} was trained on val as well (training.refit), so val can choose nothing "
                          "more for its weights; train anew, with more training.epochs")  # fmt: skip
    if not run.recipe.is_file() or not run.manifest.is_file():
        raise DataError(f"{str(parent)!r} is no run folder; --more-epochs goes on with a run's own recipe and data")
    fixed = next((setting for setting in settings if setting.startswith(FIXED)), None)
    if fixed is not None:
        raise RecipeError(f"--set {fixed}: the weights of the run decide that; leave it out, or train anew")
    run_recipe(run)  # a recipe that no run has written is bad data; bad settings are bad usage
    recipe = load_recipe(str(run.recipe), ["training.minutes=null", *settings])
    changes = {
        "data.layout": "auto",  # the data is the parent's manifest, whose layout is detected
        "training.epochs": epochs,
        "schedule.warmup_epochs": _warmup(recipe),
        # The head is trained already, so it needs no fit of its own and no frozen backbone.
        "finetune.head_first": None,
        "finetune.unfreeze_epochs": 0,
        "parent": ParentSpec(run=str(parent.resolve()), digest=digest),
    }
    return recipe.changed(changes)


def _warmup(recipe: Recipe) -> float | str:
    """Warm-up epochs of the new run: chosen again for its number of epochs, 0 where the parent had no warm-up."""
    return "auto" if recipe.schedule.warmup_epochs else 0.0


def require_same_classes(recipe: Recipe, manifest: Manifest) -> None:
    """Raise DataError when the data no longer has the classes and views of the parent."""
    if recipe.parent is None:
        return
    bundle, _ = read_description(Path(recipe.parent.run))
    if (bundle.classes, bundle.views) != (manifest.classes, manifest.views):
        raise DataError(f"the data of {recipe.parent.run!r} no longer has the classes and views that it was trained "
                        "on; train anew")  # fmt: skip


def begin(model: Classifier, parent: ParentSpec) -> None:
    """Load the parent's shipped weights into `model`. Raises DataError when they are missing or have changed."""
    _, digest = read_description(Path(parent.run))
    if digest != parent.digest:
        raise DataError(f"the weights in {parent.run!r} are not those that this run began with; put them back, or "
                        "start a new run")  # fmt: skip
    _, shipped = read_bundle(Path(parent.run))
    try:
        model.load_state_dict(shipped.state_dict())
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"the weights in {parent.run!r} do not fit the recipe: {reason}") from None
