"""Estimate of a run's time from a few real steps: training, optimizer, validation, and fitting the head first.

Reading pictures is not included. Nothing is compiled, because compilation takes minutes and shortens only runs of more
than half an hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from obverse.bundle import Bundle
from obverse.engines import Forward
from obverse.experiment import Resolved, build_model, describe, measured_samples, step_inputs, training_step, tune
from obverse.manifest import Manifest
from obverse.models import Classifier
from obverse.recipe import ResolvedRecipe
from obverse.runtime import fastest_seconds, resolve_device
from obverse.training import Update, WeightAverage, build_optimizer

# A backward pass costs about twice a forward pass, so validation takes a third of the time of training.
FORWARD_SHARE = 1 / 3
Notify = Callable[[str], None]


@dataclass(frozen=True)
class Seconds:
    """Measured times."""

    train: float
    """Seconds per sample of a forward and backward pass."""

    forward: float
    """Seconds per sample of a validation pass."""

    update: float = 0.0
    """Seconds per optimizer step, after the gradients."""

    @classmethod
    def at(cls, pictures_per_second: float, num_views: int) -> Seconds:
        """Times from a given training speed, which includes the optimizer."""
        train = num_views / pictures_per_second
        return cls(train, FORWARD_SHARE * train)

    def epoch(self, recipe: ResolvedRecipe, manifest: Manifest, processes: int = 1) -> float:
        """Seconds of one epoch with its validation. processes: devices that share every batch."""
        counts = manifest.split_counts()
        samples = counts["train"] * self.train + counts["val"] * self.forward
        return samples / processes + math.ceil(counts["train"] / recipe.training.batch_size) * self.update

    def before(self, recipe: ResolvedRecipe, manifest: Manifest) -> float:
        """Seconds before the first epoch: every rank computes the frozen backbone's features of all training samples.

        The time to fit the head to these features is negligible.
        """
        return manifest.split_counts()["train"] * self.forward if recipe.finetune.head_first else 0.0


def measure_seconds(resolved: Resolved, manifest: Manifest, notify: Notify) -> tuple[ResolvedRecipe, Seconds]:
    """The recipe with its measured fields decided, and the times. No weights are loaded, and nothing is compiled."""
    recipe = resolved.recipe
    notify(f"building {getattr(recipe.model.backbone, 'name', recipe.model.backbone.kind)}")
    model, bundle = build_model(recipe, manifest, load_weights=False), describe(recipe, manifest)
    measured = replace(resolved, open=resolved.open - {"finetune.freeze_norm", "runtime.compile"})
    recipe = tune(measured, model, bundle, num_train=len(manifest.split("train")), notify=notify)
    notify(f"measuring a training step of {measured_samples(recipe, bundle)} samples")
    return recipe, _measured(recipe, model, bundle)


def _measured(recipe: ResolvedRecipe, model: Classifier, bundle: Bundle) -> Seconds:
    runtime = recipe.runtime
    num_samples = measured_samples(recipe, bundle)
    step = training_step(recipe, model, bundle, runtime.precision, runtime.channels_last)
    train = fastest_seconds(step) / num_samples
    optimizer = build_optimizer(recipe.optim, model, layer_decay=recipe.finetune.layer_decay)
    update = Update(optimizer, recipe.optim.clip_norm)
    decay = recipe.training.ema_decay
    average = WeightAverage(model, decay) if decay else None

    def after_gradients() -> None:
        update.norm()
        update.apply()
        if average:
            average.update(model)

    seconds = fastest_seconds(after_gradients, repeats=2)
    model.zero_grad(set_to_none=True)
    return Seconds(train, _forward_seconds(recipe, model, bundle) / num_samples, seconds)


def _forward_seconds(recipe: ResolvedRecipe, model: Classifier, bundle: Bundle) -> float:
    """Seconds of a validation pass over as many samples as a measured step has."""
    runtime = recipe.runtime
    device = resolve_device(runtime.device)
    forward = Forward.from_bundle(bundle, device, precision=runtime.precision, channels_last=runtime.channels_last)
    images_BVCHW, present_BV = step_inputs(recipe, bundle, forward)
    model.eval()

    @torch.no_grad()
    def validate() -> None:
        with forward.autocast():
            model(images_BVCHW, present_BV)

    return fastest_seconds(validate, repeats=2)
