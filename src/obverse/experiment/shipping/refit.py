"""The second training of a run with `training.refit`: on train and val together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from obverse.experiment.setup import Setup, set_up

REFIT = "refit"
"""Folder of the second training's checkpoints, inside that of the first, and its name in a bundle's `trained`."""


def set_up_refit(setup: Setup, *, load_weights: bool, notify: Callable[[str], None]) -> Setup:
    """The objects of a second training: a new model from the same start, and val's samples among those of train.

    The pixel caches of the first training are given back. load_weights: False when weights come from a checkpoint.
    """
    setup.caches.clear()
    samples = setup.manifest.samples
    splits = ["train" if split == "val" else split for split in samples.splits]
    manifest = replace(setup.manifest, samples=samples.with_columns(splits=splits))
    return set_up(setup.recipe, manifest, load_weights=load_weights, notify=notify)


def with_share_of_minutes(setup: Setup) -> Setup:
    """The setup whose time budget, if it has one, is that of each training: half where there are two."""
    training = setup.recipe.training
    if not training.refit or training.minutes is None:
        return setup
    return replace(setup, recipe=setup.recipe.changed({"training.minutes": training.minutes / 2}))
