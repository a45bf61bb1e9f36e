"""A resolved recipe and a manifest turned into objects: model, loaders, and what stands between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from obverse.bundle import Bundle
from obverse.data import Geometry, Loader, PictureDataset, PixelCache, working_geometry
from obverse.engines import Forward, TorchEngine
from obverse.errors import RecipeError
from obverse.experiment.auto.caching import open_cache
from obverse.experiment.auto.tune import tune
from obverse.launch import launched
from obverse.losses import Objective, build_objective
from obverse.manifest import Manifest, PictureFacts, require_decodable
from obverse.models import (
    Classifier,
    has_folded_norm,
    input_needs,
    prepare,
    set_trainable,
    start_bias,
)
from obverse.recipe import AugmentSpec, DataSpec, Recipe, Size
from obverse.runtime import Process, keep_freed_memory, resolve_device, seed_torch, seed_torch_of_rank
from obverse.runtime.sharding import UNIT
from obverse.training import Loaders

from .parent import begin
from .teacher import soft_targets


class Setup:
    """Building one fixes the process: threads, matmul setting, seed. load_weights False: a checkpoint has them."""

    def __init__(self, recipe: Recipe, manifest: Manifest, *, load_weights: bool = True) -> None:
        require_shares(recipe)
        self.recipe, self.manifest = recipe, manifest
        self.process = Process(launched().rank, launched().world_size)
        self._caches: dict[str, PixelCache | None] = {}
        runtime = recipe.runtime
        self.device = resolve_device(runtime.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        if runtime.num_threads != "auto":
            torch.set_num_threads(runtime.num_threads)
        torch.set_float32_matmul_precision(runtime.matmul if runtime.matmul != "auto" else "highest")
        self.objective = objective_of(recipe, manifest)
        self.bundle = describe(recipe, manifest, self.objective)
        seed_torch(recipe.training.seed)
        has_parent = recipe.parent is not None
        self.model: Classifier = self.bundle.build(load_weights=load_weights and not has_parent)
        if load_weights and recipe.parent is not None:
            begin(self.model, recipe.parent)
        prepare(self.model, recipe.finetune)
        if not has_parent:
            self._start_head()
        set_trainable(self.model, recipe.finetune)
        seed_torch_of_rank(recipe.training.seed, self.process.rank)

    def _start_head(self) -> None:
        """The bias of the classes before training, smoothed by one sample each so that none is infinite."""
        kind = self.recipe.finetune.head_bias
        if kind == "zero":
            start_bias(self.model.head, 0.0)
        if kind != "prior":
            return
        counts = [count + 1 for count in self.manifest.counts("train").values()]
        if self.manifest.multi_label:  # of each class, whether it is there
            total = self.manifest.split_counts()["train"] + 2
            start_bias(self.model.head, [math.log(count / (total - count)) for count in counts])
        else:
            total = sum(counts)
            start_bias(self.model.head, [math.log(count / total) for count in counts])

    def tuned(self, tell: Callable[[str], None] = lambda line: None) -> Recipe:
        """Decide by looking at the weights and by measurement what is still `auto`. tell: hears what is measured."""
        finetune = self.recipe.finetune
        if finetune.freeze_norm == "auto":
            folded = not self.recipe.model.backbone.is_scratch and has_folded_norm(self.model)
            self.recipe = self.recipe.changed({"finetune.freeze_norm": folded})
            set_trainable(self.model, self.recipe.finetune)
        num_train = len(self.manifest.split("train"))
        self.recipe = tune(self.recipe, self.model, self.bundle, num_train=num_train, tell=tell)
        return self.recipe

    @property
    def rounding(self) -> str | None:
        """A line for the log when the canvas differs from the size asked for."""
        g = self.bundle.geometry
        if (g.height, g.width) == (g.canvas_height, g.canvas_width):
            return None
        return (
            f"pictures of {g.width}x{g.height} lie on a canvas of {g.canvas_width}x{g.canvas_height} "
            "(width x height), because the model needs multiples of its patch"
        )

    def forward(self) -> Forward:
        """Normalisation and formats as the recipe says."""
        runtime = self.recipe.runtime
        channels_last = runtime.channels_last is True
        return Forward.from_bundle(self.bundle, self.device, precision=runtime.precision, channels_last=channels_last)

    def engine(self) -> TorchEngine:
        """The model as training measures it: on its device, in the recipe's formats, in evaluation mode."""
        runtime = self.recipe.runtime
        return TorchEngine.from_bundle(
            self.bundle,
            self.model,
            device=self.device,
            precision=runtime.precision,
            channels_last=runtime.channels_last is True,
        )

    def loaders(self) -> Loaders:
        """Training and validation batches."""
        recipe, runtime = self.recipe, self.recipe.runtime
        assert recipe.training.batch_size != "auto"
        assert runtime.num_workers != "auto"
        seed, pin = recipe.training.seed, self.device.type == "cuda"
        if not self._caches:
            self.open_caches()
        train, val = self._dataset("train", recipe.augment), self._dataset("val", None)
        workers = runtime.num_workers
        plain = self._dataset("train", None)
        return Loaders(
            Loader(
                train,
                recipe.training.batch_size,
                seed=seed,
                num_workers=workers,
                process=self.process,
                pin_memory=pin,
                sampler=recipe.training.sampler,
            ),
            Loader(val, recipe.evaluation.batch_size, num_workers=workers, process=self.process, pin_memory=pin),
            Loader(plain, recipe.evaluation.batch_size, pin_memory=pin) if recipe.finetune.head_first else None,
            soft_targets(recipe, self.manifest),
        )

    def require_decodable(self, facts: PictureFacts, progress: Callable[[int, int], None]) -> None:
        """DataError when a picture cannot be decoded at a size at which this run will decode it."""
        geometry, manifest = self.bundle.geometry, self.manifest
        uses = (working_geometry(geometry, self.recipe.augment).least_decode, geometry.least_decode)
        require_decodable(manifest.store, facts, manifest.samples.paths(), uses, progress)

    def open_caches(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
        """Find or make the cached pixels of train and val; a line for each that lies on disk."""
        said = []
        for split, augment in (("train", self.recipe.augment), ("val", None)):
            self._caches[split], line = open_cache(
                self.recipe.data.cache,
                self.manifest,
                self.manifest.split(split),
                working_geometry(self.bundle.geometry, augment),
                is_training=split == "train",
                progress=progress,
            )
            said += [line] if line else []
        return said

    def _dataset(self, split: str, augment: AugmentSpec | None) -> PictureDataset:
        """Training pictures that are not augmented are only looked at once, and are not cached."""
        cache = self._caches[split] if split != "train" or augment is not None else None
        samples, seed = self.manifest.split(split), self.recipe.training.seed
        return PictureDataset(self.manifest, samples, self.bundle.geometry, augment=augment, seed=seed, cache=cache)


def geometry_of(data: DataSpec, multiple: int) -> Geometry:
    """Of a resolved recipe, for a model that needs sides of a multiple."""
    assert isinstance(data.size, Size)
    assert data.crop_fraction != "auto"
    size, direction = data.size, data.round_to_multiple
    geometry = Geometry.for_multiple(size.height, size.width, multiple=multiple, fit=data.fit, direction=direction)
    return replace(geometry, decode=data.decode, crop_fraction=data.crop_fraction)


def objective_of(recipe: Recipe, manifest: Manifest) -> Objective:
    """The objective for the training samples of a manifest."""
    counts = list(manifest.counts("train").values())
    num_samples = manifest.split_counts()["train"]
    return build_objective(recipe.loss, counts=counts, num_samples=num_samples, view_heads=recipe.model.view_heads)


def require_launch(recipe: Recipe) -> None:
    """RecipeError when a run cannot begin with the processes of this launch; it may go on with fewer."""
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


def describe(recipe: Recipe, manifest: Manifest, objective: Objective) -> Bundle:
    """What will ship, before it has weights; nothing is built."""
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
        objective.output,
        columns=manifest.columns,
        parts=manifest.parts,
    )


def require_shares(recipe: Recipe, processes: int | None = None) -> None:
    """RecipeError when so many processes, by default those of this launch, cannot share a batch."""
    num, batch = processes or launched().world_size, recipe.training.batch_size
    if num > 1 and batch != "auto" and batch % (UNIT * num):
        raise RecipeError(f"training.batch_size {batch} counts the samples of all {num} processes, and each takes "
                          f"whole pairs of them; give a multiple of {UNIT * num}")  # fmt: skip
