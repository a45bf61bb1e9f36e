"""What is fitted on val, or on predictions of folds: calibration, thresholds, rules of acceptance and of sets."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from obverse.bundle import Bundle
from obverse.decisions import Evidence, Truth, calibrate, calibrated, fit_sets, to_logits
from obverse.engines import Outputs
from obverse.evaluation import Predictions
from obverse.manifest import Manifest
from obverse.metrics import Units, best_thresholds
from obverse.recipe import ADJUSTED, LossSpec, OutputSpec, Recipe
from obverse.trust import accepted_in_folds, accepted_on_val


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
        logits_NK if known_N.all() else logits_NK[known_N],  # a copy takes as much memory again
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
