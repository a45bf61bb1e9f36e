"""The objects of a run, built from its resolved recipe and manifest: model, objective, caches, loaders, engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from obverse.bundle import Bundle
from obverse.data import Geometry, Loader, PictureDataset, PixelCache, working_geometry
from obverse.engines import Forward, TorchEngine
from obverse.errors import RecipeError
from obverse.experiment.auto.caching import open_cache
from obverse.launch import launched
from obverse.losses import Objective, build_objective
from obverse.manifest import Manifest, PictureFacts, require_decodable
from obverse.models import (
    Classifier,
    enable_checkpointing,
    input_needs,
    parameter_groups,
    prepare,
    set_trainable,
    start_bias,
)
from obverse.recipe import Recipe, ResolvedAugment, ResolvedData, ResolvedRecipe
from obverse.runtime import UNIT, Process, resolve_device, seed_torch_of_rank
from obverse.training import Loaders

from .parent import begin
from .process import prepare_process
from .teacher import soft_targets


@dataclass(frozen=True)
class Setup:
    """The objects of a run, built from its resolved recipe and manifest."""

    recipe: ResolvedRecipe
    manifest: Manifest
    objective: Objective
    bundle: Bundle
    model: Classifier
    device: torch.device
    process: Process
    caches: dict[str, PixelCache | None]
    """Split (train, val) -> its pixel cache; None where pixels are not cached."""

    @property
    def rounding(self) -> str | None:
        """A message when the canvas differs from the recipe's size; None when they are equal."""
        g = self.bundle.geometry
        if (g.height, g.width) == (g.canvas_height, g.canvas_width):
            return None
        return (
            f"pictures of {g.width}x{g.height} lie on a canvas of {g.canvas_width}x{g.canvas_height} "
            "(width x height), because the model needs multiples of its patch"
        )

    def forward(self) -> Forward:
        """The forward pass, with the bundle's normalisation and the recipe's number and memory formats."""
        runtime = self.recipe.runtime
        return Forward.from_bundle(
            self.bundle, self.device, precision=runtime.precision, channels_last=runtime.channels_last
        )

    def engine(self) -> TorchEngine:
        """The engine that training validates with: on the run's device, in the recipe's formats, in evaluation mode."""
        runtime = self.recipe.runtime
        return TorchEngine.from_bundle(
            self.bundle,
            self.model,
            device=self.device,
            precision=runtime.precision,
            channels_last=runtime.channels_last,
        )

    def loaders(self) -> Loaders:
        """Loaders of training and validation batches, and the teacher's soft targets."""
        recipe, workers = self.recipe, self.recipe.runtime.num_workers
        pin = self.device.type == "cuda"
        train, val = self._dataset("train", recipe.augment), self._dataset("val", None)
        plain = self._dataset("train", None)
        return Loaders(
            Loader(
                train,
                recipe.training.batch_size,
                seed=recipe.training.seed,
                num_workers=workers,
                process=self.process,
                pin_memory=pin,
                sampler=recipe.training.sampler,
            ),
            Loader(val, recipe.evaluation.batch_size, num_workers=workers, process=self.process, pin_memory=pin),
            Loader(plain, recipe.evaluation.batch_size, pin_memory=pin) if recipe.finetune.head_first else None,
            soft_targets(recipe, self.manifest),
        )

    def _dataset(self, split: str, augment: ResolvedAugment | None) -> PictureDataset:
        """The dataset of a split. Unaugmented training pictures are read only once, so they use no cache."""
        cache = self.caches[split] if split != "train" or augment is not None else None
        samples, seed = self.manifest.split(split), self.recipe.training.seed
        return PictureDataset(self.manifest, samples, self.bundle.geometry, augment=augment, seed=seed, cache=cache)


def set_up(
    recipe: ResolvedRecipe,
    manifest: Manifest,
    *,
    model: Classifier | None = None,
    load_weights: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Setup:
    """The objects of a run. Opens its caches; raises RecipeError when the ranks cannot share a batch.

    model: result of an earlier `build_model`; by default it is built here.
    load_weights: False when weights come from a checkpoint.
    progress: called with (done, total) while a disk cache is filled.
    notify: called with a message for each disk cache.
    """
    require_shares(recipe)
    bundle = describe(recipe, manifest)
    model = model or build_model(recipe, manifest, load_weights=load_weights)
    caches: dict[str, PixelCache | None] = {}
    for split, augment in (("train", recipe.augment), ("val", None)):
        caches[split], line = open_cache(
            recipe.data.cache,
            manifest,
            manifest.split(split),
            working_geometry(bundle.geometry, augment),
            is_training=split == "train",
            progress=progress,
        )
        if line:
            notify(line)
    device, process = resolve_device(recipe.runtime.device), Process(launched().rank, launched().world_size)
    return Setup(recipe, manifest, objective_of(recipe, manifest), bundle, model, device, process, caches)


def build_model(recipe: ResolvedRecipe, manifest: Manifest, *, load_weights: bool = True) -> Classifier:
    """The model with its initial weights, random, pretrained or of a parent run.

    Applies the process-wide settings first, because random weights depend on the seed.
    """
    prepare_process(recipe)
    has_parent = recipe.parent is not None
    model = describe(recipe, manifest).build(load_weights=load_weights and not has_parent)
    if load_weights and recipe.parent is not None:
        begin(model, recipe.parent)
    prepare(model, recipe.finetune)
    if not has_parent:
        _start_head(model, recipe.finetune.head_bias, manifest)
    set_trainable(model, recipe.finetune)
    if recipe.runtime.checkpointing:
        enable_checkpointing(model)
    seed_torch_of_rank(recipe.training.seed, launched().rank)
    return model


def require_trainable(recipe: ResolvedRecipe, manifest: Manifest) -> None:
    """Raise the error with which a training by this recipe would refuse its network. No weights are read."""
    model = build_model(recipe, manifest, load_weights=False)
    parameter_groups(model, recipe.optim.weight_decay, layer_decay=recipe.finetune.layer_decay)


def _start_head(model: Classifier, kind: str, manifest: Manifest) -> None:
    """Set the head's initial bias: zero, or the logarithm (log-odds for label sets) of the class frequencies.

    Counts are smoothed by one sample per class, so that no bias is infinite.
    """
    if kind == "zero":
        start_bias(model.head, 0.0)
    if kind != "prior":
        return
    counts = [count + 1 for count in manifest.counts("train").values()]
    if manifest.multi_label:
        # Each class is present or absent: one smoothing sample for either.
        total = manifest.split_counts()["train"] + 2
        start_bias(model.head, [math.log(count / (total - count)) for count in counts])
    else:
        total = sum(counts)
        start_bias(model.head, [math.log(count / total) for count in counts])


def require_readable(
    recipe: ResolvedRecipe, manifest: Manifest, facts: PictureFacts, progress: Callable[[int, int], None]
) -> None:
    """Raise DataError when a picture cannot be decoded at a size that this run uses."""
    geometry = describe(recipe, manifest).geometry
    uses = (working_geometry(geometry, recipe.augment).least_decode, geometry.least_decode)
    require_decodable(manifest.store, facts, manifest.samples.paths(), uses, progress)


def geometry_of(data: ResolvedData, multiple: int) -> Geometry:
    """The geometry of a recipe's pictures. multiple: pixels by which the model needs both canvas sides divisible."""
    size, direction = data.size, data.round_to_multiple
    geometry = Geometry.for_multiple(size.height, size.width, multiple=multiple, fit=data.fit, direction=direction)
    return replace(geometry, decode=data.decode, crop_fraction=data.crop_fraction)


def objective_of(recipe: ResolvedRecipe, manifest: Manifest) -> Objective:
    """The training objective, with the class frequencies of the manifest's train split."""
    counts = list(manifest.counts("train").values())
    num_samples = manifest.split_counts()["train"]
    return build_objective(recipe.loss, counts=counts, num_samples=num_samples, model=recipe.model)


def require_launch(recipe: Recipe) -> None:
    """Raise RecipeError when a new run does not fit this launch's number of processes; not checked on resuming."""
    require_shares(recipe)
    if recipe.runtime.distributed != "fsdp":
        return
    if launched().world_size == 1:
        raise RecipeError("runtime.distributed: fsdp has no effect on one process; start several with torchrun, or "
                          "leave it out")  # fmt: skip
    apart = {
        "finetune.lora": recipe.finetune.lora is not None,
        "finetune.unfreeze_epochs": recipe.finetune.unfreeze_epochs > 0,
        "runtime.precision: fp16": recipe.runtime.precision == "fp16",
    }
    for name in (name for name, is_set in apart.items() if is_set):
        raise RecipeError(f"{name} does not go with runtime.distributed: fsdp; leave it at auto, which is ddp")


def describe(recipe: ResolvedRecipe, manifest: Manifest) -> Bundle:
    """The description of the bundle that the run will ship. No model is built."""
    needs = input_needs(recipe.model)
    geometry = geometry_of(recipe.data, needs.multiple)
    return Bundle(
        manifest.classes,
        manifest.ordered,
        manifest.views,
        geometry,
        needs.mean,
        needs.std,
        recipe.model,
        objective_of(recipe, manifest).output,
        columns=manifest.columns,
        parts=manifest.parts,
    )


def require_shares(recipe: Recipe, processes: int | None = None) -> None:
    """Raise RecipeError when the batch cannot be divided among the processes.

    processes: by default, the number of this launch.
    """
    num, batch = processes or launched().world_size, recipe.training.batch_size
    if num > 1 and batch != "auto" and batch % (UNIT * num):
        raise RecipeError(f"training.batch_size {batch} counts the samples of all {num} processes, and each takes "
                          f"whole pairs of them; give a multiple of {UNIT * num}")  # fmt: skip
