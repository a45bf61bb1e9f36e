"""Conversion of the trained model to the form that ships: fp32, plain memory format, best weights.

Training may use bf16 or fp16, channels-last memory and faster matrix products. A loaded bundle computes in fp32, so the
thresholds, the prior and every number of the report are computed in fp32 too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle
from obverse.decisions import Evidence, Truth, calibrate, calibrated, fit_sets, to_logits
from obverse.engines import Engine, Outputs, TorchEngine, run_engine
from obverse.evaluation import Predictions, best_prior
from obverse.files import read_json_object
from obverse.manifest import Manifest
from obverse.metrics import Units, best_thresholds
from obverse.models import merge_lora
from obverse.recipe import ADJUSTED, LossSpec, OutputSpec, Recipe
from obverse.runs import RunFolder
from obverse.training import Trainer
from obverse.trust import accepted_in_folds, accepted_on_val

from .outliers import with_detector, with_outlier_limit
from .setup import Setup, set_up
from .story import TrainAccuracy, train_accuracy
from .train_pass import outputs_on_train, random_places, typical_places

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


def tuned_bundle(setup: Setup, trainer: Trainer, engine: Engine, *, run: RunFolder) -> tuple[Bundle, TrainAccuracy]:
    """The bundle with a tuned prior and everything else that is fitted on val (`fitted_output`), and on outliers.

    And its accuracy on train; NaN on ranks but the main one.
    """
    with closing(trainer.loaders):
        outputs = run_engine(engine, trainer.loaders.val.epoch(), process=setup.process)

    def tuned() -> dict[str, Any]:
        output, read, counts = setup.bundle.output, outputs, trainer.objective.tuned_counts
        if counts is not None:
            select = setup.recipe.training.select
            prior = best_prior(select, outputs.logits_NK, outputs.truth, counts=counts, kind=setup.bundle.kind)
            output = output.changed({"prior": prior})
            read = replace(outputs, logits_NK=outputs.logits_NK + np.log(prior, dtype=np.float32))
        bundle = replace(setup.bundle, output=output)
        fitted = fitted_output(read, bundle, setup.manifest, recipe=setup.recipe)
        if run.choice_file.is_file():  # its models of folds have predicted all of train and val
            folder = run.path / str(read_json_object(run.choice_file)["out_of_fold"])
            bundle = replace(bundle, output=fitted)
            fitted = output_of_folds(Predictions.read(folder), bundle, recipe=setup.recipe)
        return fitted.model_dump()

    output = OutputSpec.model_validate(setup.process.from_main(tuned))
    bundle, accuracy = _seen_on_train(replace(setup.bundle, output=output), setup, engine)
    logits_NK = shipped_logits(outputs, setup.bundle.output, output)
    return with_outlier_limit(bundle, logits_NK, outputs, setup.process), accuracy


def refitted_bundle(bundle: Bundle, setup: Setup, trainer: Trainer) -> tuple[Bundle, TrainAccuracy]:
    """The bundle of the first training for the weights of the second: with Gaussians of its own training embeddings.

    The limit of the outlier score stays that of the first training, to which val was new. And the accuracy on train.
    """
    engine, has_score = as_shipped(trainer, setup), bundle.output.outliers is not None
    fitted, accuracy = _seen_on_train(replace(bundle, trained=bundle.trained | {REFIT: True}), setup, engine)
    return fitted if has_score else replace(fitted, detector=None), accuracy


def _seen_on_train(bundle: Bundle, setup: Setup, engine: Engine) -> tuple[Bundle, TrainAccuracy]:
    """The bundle with Gaussians of its training embeddings, and its accuracy on train.

    engine: the model with the output spec of `setup.bundle`.
    """
    manifest, seed = setup.manifest, setup.recipe.training.seed
    train = manifest.split("train")
    typical = typical_places(train, len(bundle.classes), seed=seed)
    random = random_places(train, len(manifest.split("val")), seed=seed)
    places, process = np.union1d(typical, random), setup.process
    outputs = outputs_on_train(engine, bundle, manifest, places, recipe=setup.recipe, process=process)
    if not process.is_main:
        return with_detector(bundle, outputs, process), TrainAccuracy(math.nan, 0)
    fitted = with_detector(bundle, outputs.rows(np.searchsorted(places, typical).tolist()), process)
    seen = outputs.rows(np.searchsorted(places, random).tolist())
    logits_NK = shipped_logits(seen, setup.bundle.output, bundle.output)
    return fitted, train_accuracy(logits_NK, seen.truth, bundle.kind)


def shipped_logits(outputs: Outputs, before: OutputSpec, after: OutputSpec) -> npt.NDArray[np.float32]:
    """Class logits of outputs by the output spec that ships. before: that of the engine that made them."""
    logits_NK = outputs.logits_NK
    if after.prior is not None and after.prior != before.prior:
        logits_NK = logits_NK + np.log(after.prior, dtype=np.float32)
    mapped_NK: npt.NDArray[np.float32] = calibrated(torch.from_numpy(logits_NK), after.calibration).numpy()
    return mapped_NK


def fitted_output(outputs: Outputs, bundle: Bundle, manifest: Manifest, *, recipe: Recipe) -> OutputSpec:
    """The bundle's output spec with what is fitted on outputs of val.

    That is a calibration, thresholds of label sets, the rule of prediction sets, and the confidence from which on
    answers are accepted.

    outputs: of the bundle without a calibration.
    """
    kind, group_of = bundle.kind, dict(zip(manifest.samples.ids, manifest.samples.groups, strict=True))
    units = Units.of_groups([group_of[name] or None for name in outputs.ids])
    evidence = _evidence(outputs.logits_NK, outputs.truth, units, bundle, recipe)
    output = bundle.output.changed({"calibration": calibrate(evidence)})
    if kind.is_set:
        read = calibrated(torch.from_numpy(outputs.logits_NK), output.calibration)
        output = output.changed({"thresholds": best_thresholds(outputs.truth, kind.probabilities(read).numpy())})
    output = output.changed({"acceptance": accepted_on_val(evidence, output.calibration, recipe.evaluation)})
    return _with_sets(output, evidence, recipe)


def output_of_folds(pooled: Predictions, bundle: Bundle, *, recipe: Recipe) -> OutputSpec:
    """The bundle's output spec with rules of acceptance and of sets that are fitted on out-of-fold predictions.

    They are more than val, and no model was trained on them. The calibration stays that of val.
    """
    rows_NK = pooled.probabilities_NK if pooled.uncalibrated_NK is None else pooled.uncalibrated_NK
    evidence = _evidence(to_logits(rows_NK, bundle.kind), pooled.truth, pooled.units, bundle, recipe)
    acceptance = accepted_in_folds(evidence, bundle.output.calibration, recipe.evaluation)
    return _with_sets(bundle.output.changed({"acceptance": acceptance}), evidence, recipe, fitted_on="folds")


def _evidence(
    logits_NK: npt.NDArray[np.float32], truth: Truth, units: Units, bundle: Bundle, recipe: Recipe
) -> Evidence:
    """The samples that have a label."""
    known_N = bundle.kind.known(truth)
    return Evidence(
        logits_NK[known_N],
        truth[known_N],
        bundle.kind,
        units.take(known_N),
        _weights(truth[known_N], bundle.output, recipe.loss, num_classes=len(bundle.classes)),
        keeps_frequencies=not corrects_imbalance(recipe),
    )


def _with_sets(
    output: OutputSpec, evidence: Evidence, recipe: Recipe, *, fitted_on: Literal["val", "folds"] = "val"
) -> OutputSpec:
    spec = recipe.evaluation
    if spec.coverage is None or not len(evidence.truth):
        return output
    sets = fit_sets(
        evidence,
        output.calibration,
        level=spec.coverage,
        confidence=spec.coverage_confidence,
        fitted_on=fitted_on,
    )
    return output.changed({"sets": sets})


def _weights(truth: Truth, output: OutputSpec, loss: LossSpec, *, num_classes: int) -> npt.NDArray[np.float64]:
    """Weight of each val sample in calibration: all alike, or its class's frequency in use over that on val.

    They differ where the recipe names the class frequencies that the model is meant for.
    """
    if loss.kind not in ADJUSTED or loss.prior in ("train", "tuned"):
        return np.ones(len(truth))
    shares_K = np.bincount(truth, minlength=num_classes) / len(truth)
    wanted_K = np.ones(num_classes) if output.prior is None else np.array(output.prior)
    weights_N: npt.NDArray[np.float64] = wanted_K[truth] / shares_K[truth]
    scaled_N: npt.NDArray[np.float64] = weights_N / weights_N.mean()
    return scaled_N


def corrects_imbalance(recipe: Recipe) -> bool:
    """Whether the recipe counts rare classes more on purpose, which a calibration must not undo."""
    loss = recipe.loss
    is_weighted = loss.class_weights != "none" or loss.pos_weight != "none" or recipe.training.sampler != "natural"
    return is_weighted or loss.kind in ADJUSTED or loss.kind == "ldam"
