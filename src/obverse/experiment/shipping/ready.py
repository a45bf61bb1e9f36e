"""The trained model as it ships: fp32, plain memory format, best weights, with all that is fitted after a training.

Training may use bf16 or fp16, channels-last memory and faster matrix products. A loaded bundle computes in fp32, so the
thresholds, the prior and every number of the report are computed in fp32 too.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from obverse.bundle import Bundle
from obverse.engines import MIRRORED, TorchEngine, run_engine
from obverse.evaluation import Predictions, best_prior
from obverse.experiment.evaluate import Ready
from obverse.experiment.setup import Setup
from obverse.experiment.story import TrainAccuracy
from obverse.files import read_json_object
from obverse.models import merge_lora, weights_licence
from obverse.recipe import OutputSpec
from obverse.runs import RunFolder
from obverse.training import Trainer

from .fitting import fitted_output, output_of_folds, shipped_logits
from .outliers import with_outlier_limit
from .refit import REFIT
from .train_pass import seen_on_train


def ready_model(run: RunFolder, setup: Setup, trainer: Trainer) -> tuple[Ready, TrainAccuracy]:
    """The trained model with its best weights, as it ships, with what is tuned on val; and its accuracy on train."""
    progress = trainer.progress
    trained = {"epoch": progress.best_epoch + 1, "select": setup.recipe.training.select, "value": progress.best_value}
    if licence := weights_licence(setup.recipe.model.backbone):
        trained["licence"] = licence
    if share := setup.recipe.augment.mirror:
        trained[MIRRORED] = share
    bundle, accuracy = _tuned_bundle(setup, trainer, run=run)
    return _with_engine(replace(bundle, trained=trained), setup, trainer), accuracy


def refitted_model(first: Ready, setup: Setup, trainer: Trainer) -> tuple[Ready, TrainAccuracy]:
    """The model of the second training with what was fitted after the first, and its accuracy on train.

    Only the Gaussians are those of its own training embeddings. The limit of the outlier score stays that of the first
    training, to which val was new.
    """
    engine, bundle = _as_shipped(trainer, setup), first.bundle
    fitted, accuracy = seen_on_train(replace(bundle, trained=bundle.trained | {REFIT: True}), setup, engine)
    if bundle.output.outliers is None:
        fitted = replace(fitted, detector=None)
    return _with_engine(fitted, setup, trainer), accuracy


def _tuned_bundle(setup: Setup, trainer: Trainer, *, run: RunFolder) -> tuple[Bundle, TrainAccuracy]:
    """The bundle with a tuned prior and everything else that is fitted on val (`fitted_output`), and on outliers.

    And its accuracy on train; NaN on ranks but the main one.
    """
    engine = _as_shipped(trainer, setup)
    with closing(trainer.loaders):
        outputs = run_engine(engine, trainer.loaders.val.epoch(), process=setup.process)

    bundle, counts = setup.bundle, trainer.objective.tuned_counts
    if counts is not None:
        select, kind = setup.recipe.training.select, bundle.kind
        prior = setup.process.from_main(
            lambda: best_prior(select, outputs.logits_NK, outputs.truth, counts=counts, kind=kind)
        )
        bundle = replace(bundle, output=bundle.output.changed({"prior": prior}))
        outputs = replace(outputs, logits_NK=outputs.logits_NK + np.log(prior, dtype=np.float32))

    def tuned() -> dict[str, Any]:
        fitted = fitted_output(outputs, bundle, setup.manifest, recipe=setup.recipe)
        if run.choice_file.is_file():  # its models of folds have predicted all of train and val
            folder = run.path / str(read_json_object(run.choice_file)["out_of_fold"])
            fitted = output_of_folds(Predictions.read(folder), replace(bundle, output=fitted), recipe=setup.recipe)
        return fitted.model_dump()

    output = OutputSpec.model_validate(setup.process.from_main(tuned))
    outputs = replace(outputs, logits_NK=shipped_logits(outputs, bundle.output, output))
    bundle, accuracy = seen_on_train(replace(bundle, output=output), setup, engine)
    return with_outlier_limit(bundle, outputs, setup.process), accuracy


def _as_shipped(trainer: Trainer, setup: Setup) -> TorchEngine:
    """Engine of the shipped model: LoRA merged, best weights loaded, fp32. Changes the trainer's model in place.

    Also sets the precision of fp32 matrix products in this process to `highest`.
    """
    merge_lora(trainer.model)
    trainer.parallel.load(trainer.best_weights)
    torch.set_float32_matmul_precision("highest")
    if not trainer.parallel.is_sharded:
        trainer.model.to(memory_format=torch.contiguous_format)
    return TorchEngine.from_bundle(setup.bundle, trainer.model, device=trainer.forward.device)


def _with_engine(bundle: Bundle, setup: Setup, trainer: Trainer) -> Ready:
    engine = TorchEngine.from_bundle(bundle, trainer.model, device=setup.device)
    whole = _whole(bundle, trainer) if trainer.parallel.is_sharded and setup.process.is_main else None
    return Ready(bundle, engine, setup.process, whole)


def _whole(bundle: Bundle, trainer: Trainer) -> TorchEngine:
    """Engine of the shipped model, unsharded, on this rank alone."""
    model = bundle.build()
    model.load_state_dict(trainer.best_weights)
    return TorchEngine.from_bundle(bundle, model, device=trainer.forward.device)
