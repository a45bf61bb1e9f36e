"""Conversion of the trained model to the form that ships: fp32, plain memory format, best weights.

Training may use bf16 or fp16, channels-last memory and faster matrix products. A loaded bundle computes in fp32, so the
thresholds, the prior and every number of the report are computed in fp32 too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch

from obverse.decisions import to_probabilities
from obverse.engines import Engine, TorchEngine, run_engine
from obverse.evaluation import best_prior
from obverse.metrics import best_thresholds
from obverse.models import merge_lora
from obverse.recipe import OutputSpec
from obverse.training import Trainer

from .setup import Setup, set_up

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


def as_shipped(trainer: Trainer, setup: Setup) -> TorchEngine:
    """Engine of the shipped model: LoRA merged, best weights loaded, fp32. Changes the trainer's model in place.

    Also sets the precision of fp32 matrix products in this process to `highest`.
    """
    merge_lora(trainer.model)
    trainer.parallel.load(trainer.best_weights)
    torch.set_float32_matmul_precision("highest")
    if not trainer.parallel.is_sharded:
        trainer.model.to(memory_format=torch.contiguous_format)
    return TorchEngine.from_bundle(setup.bundle, trainer.model, device=trainer.forward.device)


def tuned_output(setup: Setup, trainer: Trainer, engine: Engine) -> OutputSpec:
    """The output spec that ships, with what is tuned on val: thresholds for label sets, or a prior for one class."""
    output, kind, counts = setup.bundle.output, setup.bundle.kind, trainer.objective.tuned_counts
    if not kind.is_set and counts is None:
        return output
    with closing(trainer.loaders):
        outputs = run_engine(engine, trainer.loaders.val.epoch(), embeddings=False, process=setup.process)

    def tuned() -> dict[str, Any]:
        if counts is not None:
            select = setup.recipe.training.select
            return {"prior": best_prior(select, outputs.logits_NK, outputs.truth, counts=counts, kind=kind)}
        return {"thresholds": best_thresholds(outputs.truth, to_probabilities(outputs.logits_NK, kind))}

    return output.changed(setup.process.from_main(tuned))
