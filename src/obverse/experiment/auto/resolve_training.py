"""Resolution of training: batch size, epochs, metric of selection, learning rate and warm-up, from the sample count."""

from __future__ import annotations

import math
from typing import Any

from obverse import metrics
from obverse.errors import RecipeError
from obverse.manifest import Index, Manifest
from obverse.recipe import (
    ConvNetBackbone,
    FinetuneSpec,
    HeadFirstSpec,
    ModelSpec,
    Recipe,
)
from obverse.runtime import UNIT

from .machine import Machine
from .resolve_loss import IMBALANCED, imbalance

MAX_BATCH = 128
# Epochs are chosen to show the model this many pictures in training, within the range.
PICTURES_TO_SEE = 300_000
EPOCH_RANGE = (10, 60)
# With pretrained weights and fewer training samples than this, a batch has at most FEW_BATCH samples.
FEW_SAMPLES, FEW_BATCH = 1000, 16
# Least number of optimizer steps of a fine-tuning, whatever the number of samples.
LEAST_STEPS = 300
# Base learning rates at a batch of 128 by optimizer; `docs/explanation/defaults.md` says where they come from.
SCRATCH_RATES = {"sgd": 0.1, "adamw": 1e-3}
FINETUNE_RATES = {"sgd": 0.02, "adamw": 1e-3}
PART_RATES = {"sgd": 0.2, "adamw": 2e-3}
# Most training pictures for which the head is fitted first: 0.8 GB for ResNet-50, with 2048 features per picture.
MAX_FEATURES = 100_000


def resolve_training(recipe: Recipe, model: ModelSpec, index: Index, machine: Machine) -> dict[str, Any]:
    """Values of the fields of `training` that may be `auto`."""
    training = recipe.training
    num_train = index.manifest.split_counts()["train"]
    batch = training.batch_size
    is_scratch = model.backbone.is_scratch
    if batch == "auto":
        least = max(8, min(MAX_BATCH, 2 ** round(math.log2(max(8, num_train / 12)))))
        if not is_scratch and num_train < FEW_SAMPLES:
            least = min(least, FEW_BATCH)
        batch = least + -least % (UNIT * machine.processes)
    epochs = training.epochs
    if epochs == "auto":
        views = len(index.manifest.views)
        epochs = max(EPOCH_RANGE[0], min(EPOCH_RANGE[1], math.ceil(PICTURES_TO_SEE / (num_train * views))))
        if not is_scratch:
            epochs = max(epochs, math.ceil(LEAST_STEPS / math.ceil(num_train / batch)))
    select = _select(training.select, index.manifest)
    micro = batch if training.micro_batch_size == "auto" else training.micro_batch_size
    if micro > batch:
        raise RecipeError(f"training.micro_batch_size {micro} is larger than batch_size {batch}")
    return {"batch_size": batch, "epochs": epochs, "select": select, "micro_batch_size": micro}


def _select(select: str, manifest: Manifest) -> str:
    if select == "auto" and manifest.multi_label:
        return "map"
    if select == "auto":
        imbalanced = imbalance(manifest) > IMBALANCED
        return "mae" if manifest.ordered else "macro_f1" if imbalanced else "accuracy"
    require_select(select, manifest)
    return select


def require_select(select: str, manifest: Manifest) -> None:
    """Raise RecipeError when the metric is not defined for this kind of data."""
    multi = manifest.multi_label
    metric = metrics.metric_named(select, label_sets=multi)
    if metric is None:
        kinds = ["one class per sample", "multi-label data (data.labels)"]
        raise RecipeError(f"training.select: {select} is for {kinds[not multi]}; for {kinds[multi]} choose "
                          + ", ".join(metric.name for metric in metrics.compared(label_sets=multi)))  # fmt: skip
    if "order" in metric.needs and not manifest.ordered:
        raise RecipeError(f"training.select: {select} needs classes with an order; give data.order")
    if "two classes" in metric.needs and len({name for name, num in manifest.counts("val").items() if num}) == 1:
        raise RecipeError(f"training.select: {select} needs at least two classes in val, and all its samples are of "
                          "one; choose accuracy or loss, or another split")  # fmt: skip


def resolve_finetune(spec: FinetuneSpec, model: ModelSpec, index: Index) -> FinetuneSpec:
    """The spec with `head_first` decided: on for pretrained backbones that train as a whole.

    A random head would send large gradients into the pretrained features and distort them (see `head_first.py`).
    """
    if spec.head_first != "auto":
        return spec
    num_pictures = index.manifest.split_counts()["train"] * len(index.manifest.views)
    alone_first = spec.train == "head" or spec.unfreeze_epochs
    wanted = not model.backbone.is_scratch and not alone_first and num_pictures <= MAX_FEATURES
    return spec.changed({"head_first": HeadFirstSpec() if wanted else None})


def base_rate(recipe: Recipe, model: ModelSpec, batch_size: int) -> float:
    """The base learning rate, scaled with the batch size: linearly for sgd, by the square root for adam and adamw."""
    if recipe.optim.lr != "auto":
        return recipe.optim.lr
    if model.backbone.is_scratch:
        rates = SCRATCH_RATES | ({"adamw": 5e-3} if isinstance(model.backbone, ConvNetBackbone) else {})
    elif recipe.finetune.train == "head" or recipe.finetune.lora:
        rates = PART_RATES
    else:
        rates = FINETUNE_RATES
    if recipe.optim.kind == "sgd":
        return rates["sgd"] * batch_size / 128
    return float(f"{rates['adamw'] * math.sqrt(batch_size / 128):.3g}")


def warmup_epochs(recipe: Recipe, epochs: int) -> float:
    """The length of the warm-up: a tenth of training, at most three epochs."""
    warmup = recipe.schedule.warmup_epochs
    if recipe.schedule.kind == "one-cycle":
        return 0.0
    if warmup == "auto":
        return min(3.0, round(0.1 * epochs, 2))
    if warmup >= epochs and recipe.training.minutes is None:
        raise RecipeError(f"schedule.warmup_epochs {warmup:g} leaves nothing of {epochs} epochs; make it shorter")
    return warmup
