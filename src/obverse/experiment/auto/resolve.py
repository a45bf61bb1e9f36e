"""Replacement of every `auto` in a recipe by a value for the data and the machine, with reasons for the user.

A resolved recipe has no `auto`, so training it again repeats the run. `docs/explanation/defaults.md` says on which data
the constants were measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from obverse.errors import RecipeError
from obverse.manifest import Index, mirrored_classes, mostly_grades
from obverse.models import InputNeeds, input_needs, pinned
from obverse.recipe import (
    POLICIES,
    CacheSpec,
    DataSpec,
    Recipe,
    ResolvedAugment,
    ResolvedRecipe,
    Size,
)

from .caching import choose_cache
from .machine import Machine
from .resolve_loss import resolve_loss
from .resolve_model import SMALL_SIDE, choose_fusion, choose_model, choose_size, require_several_views, with_mirroring
from .resolve_training import base_rate, resolve_finetune, resolve_training, warmup_epochs

COIN_VIEWS = frozenset({"obverse", "reverse", "obv", "rev"})
# Cached training pictures have this many times the input's sides, so that crops come from real pixels.
WORKING_MARGIN = 1.25


# Fields that only `tune.py` can decide, from the model's weights or by measurement, each with its value until then.
PLAIN: dict[str, object] = {
    "finetune.freeze_norm": False,
    "runtime.precision": "fp32",
    "runtime.channels_last": False,
    "runtime.compile": False,
}


# Replaces what the recipe leaves open by what is measured on the data; what follows is said by the function given.
Choose = Callable[[Recipe, Index, Callable[[str], None]], Recipe]


def as_written(recipe: Recipe, index: Index, notify: Callable[[str], None]) -> Recipe:
    """The recipe itself: nothing is measured."""
    return recipe


@dataclass(frozen=True)
class Resolved:
    """A resolved recipe, with the reasons for its values."""

    recipe: ResolvedRecipe

    needs: InputNeeds
    """Input size, normalisation and size multiple that the backbone needs."""

    reasons: tuple[str, ...]
    """Messages for the user: what was chosen and why."""

    open: frozenset[str]
    """Fields at their `PLAIN` value that `tune` may still change."""


def resolve(recipe: Recipe, index: Index, machine: Machine | None = None) -> Resolved:
    """The recipe with every `auto` replaced by a value for the data and the machine; other fields do not change.

    machine: by default, this one.
    May ask the model hub whether pretrained weights are available. Fields that need the model stay open for `tune`.
    Raises RecipeError for settings that do not fit the data or the machine.
    """
    machine = machine or Machine.here(recipe.runtime)
    reasons: list[str] = []
    require_several_views(recipe, index.manifest.views)
    sizes = _sizes(index)
    model = pinned(choose_model(recipe, sizes, machine.kind, reasons))
    needs = input_needs(model)
    size = recipe.data.size if isinstance(recipe.data.size, Size) else choose_size(model, sizes, needs)
    model = choose_fusion(model, index.manifest.views, reasons)
    data = _data(recipe, index, size, needs)
    is_scratch = model.backbone.is_scratch
    augment = _augment(_unmirrored(recipe, index, reasons), index, size, sizes, is_scratch=is_scratch)
    model = with_mirroring(model, augment)
    data = data.changed({"cache": _cache(data.cache, index, size, augment.margin, reasons)})
    training = resolve_training(recipe, model, index, machine)
    finetune = resolve_finetune(recipe.finetune, model, index)
    loss = resolve_loss(recipe, index.manifest, select=training["select"], reasons=reasons)
    measurable = _measurable(recipe)
    decided = {
        "model": model,
        "data": data,
        "augment": augment,
        "loss": loss,
        "finetune": finetune,
        "training": recipe.training.changed(training),
        "optim.lr": base_rate(recipe, model, training["batch_size"]),
        "schedule.warmup_epochs": warmup_epochs(recipe, training["epochs"]),
        "runtime": recipe.runtime.changed(_runtime(recipe, machine)),
        "choice": None,
    }
    plain = {field: PLAIN[field] for field in measurable}
    resolved = ResolvedRecipe.of(recipe.changed(decided).changed(plain))
    reasons.append(_summary(resolved, index))
    # Where bf16 cannot be fast it need not be measured.
    is_fp32 = machine.supports_bf16 is False
    return Resolved(resolved, needs, tuple(reasons), measurable - ({"runtime.precision"} if is_fp32 else set()))


def _measurable(recipe: Recipe) -> frozenset[str]:
    finetune, runtime = recipe.finetune, recipe.runtime
    values = (finetune.freeze_norm, runtime.precision, runtime.channels_last, runtime.compile)
    return frozenset(field for field, value in zip(PLAIN, values, strict=True) if value == "auto")


def _sizes(index: Index) -> list[tuple[int, int]]:
    return [index.facts.size_of[path] for path in index.manifest.samples.paths()]


def _data(recipe: Recipe, index: Index, size: Size, needs: InputNeeds) -> DataSpec:
    kept = recipe.data.crop_fraction
    if kept == "auto":
        kept = needs.crop_fraction if recipe.data.fit == "crop" else 1.0
    keeps = any(len(s.views) < len(index.manifest.views) for s in index.manifest.samples)
    return recipe.data.changed(
        {
            "layout": index.layout,
            "size": size,
            "crop_fraction": kept,
            "views": index.manifest.views,
            "labels": "multi" if index.manifest.multi_label else "single",
            "order": index.manifest.classes if index.manifest.ordered else "none",
            "missing_view": "keep" if keeps else "exclude",
            "exclude_classes": (*recipe.data.exclude_classes, *index.dropped),
            "largest_classes": None,
            "split": recipe.data.split.for_samples(len(index.manifest.samples)),
        }
    )


def _unmirrored(recipe: Recipe, index: Index, reasons: list[str]) -> Recipe:
    """The recipe without mirroring where two classes are mirror images of each other.

    A policy that the user chose is kept, and a message says what to set.
    """
    augment, manifest = recipe.augment, index.manifest
    policy = "generic" if augment.policy == "auto" else augment.policy
    if augment.mirror is not None or not POLICIES[policy]["mirror"]:
        return recipe
    samples = () if manifest.multi_label else manifest.split("train")
    mirrored = mirrored_classes(manifest.classes, samples, index.facts, manifest.views)
    if mirrored is None:
        return recipe
    what = f"`{mirrored.first}` and `{mirrored.second}` are each other's mirror image ({mirrored.evidence})"
    if augment.policy != "auto":
        reasons.append(f"augmentation {policy} mirrors pictures, but {what}: set augment.mirror=0")
        return recipe
    reasons.append(f"no mirror images, because {what}; augment.mirror=0.5 turns them on")
    return recipe.changed({"augment.mirror": 0.0})


def _augment(
    recipe: Recipe, index: Index, size: Size, sizes: list[tuple[int, int]], *, is_scratch: bool
) -> ResolvedAugment:
    augment = recipe.augment
    if augment.policy == "auto":
        are_coins = mostly_grades(index.manifest.classes) or COIN_VIEWS & set(map(str.lower, index.manifest.views))
        # Measured: any rotation helps networks that know pictures, and is more than a small one from scratch learns.
        of_coins = "no-mirror" if is_scratch else "round"
        augment = augment.changed({"policy": of_coins if are_coins else "generic"})
        if median(min(s) for s in sizes) <= SMALL_SIDE and augment.shift is None and augment.min_scale is None:
            # Resampling blurs small pictures: they are moved by whole pixels instead of cropped.
            augment = augment.changed({"shift": 0.125, "min_scale": 1.0, "jitter": augment.jitter or 0.0})
    # Views that learn by themselves gain nothing from a view that is left out.
    num_views = 1 if recipe.model.fusion.kind == "average" else len(index.manifest.views)
    filled = augment.filled(num_views=num_views, num_columns=len(index.manifest.columns))
    source_side = median(math.sqrt(h * w) for h, w in sizes)
    has_pixels = source_side >= WORKING_MARGIN * math.sqrt(size.height * size.width)
    if recipe.augment.margin is None and has_pixels and filled.min_scale != 1:
        filled = filled.changed({"margin": WORKING_MARGIN})
    return filled


def _cache(spec: CacheSpec, index: Index, size: Size, margin: float, reasons: list[str]) -> CacheSpec:
    samples = index.manifest.samples
    wanted = samples.where(split in ("train", "val") for split in samples.splits)
    sizes = [index.facts.size_of[path] for path in wanted.paths()]
    working = round(size.height * margin), round(size.width * margin)
    chosen, reason = choose_cache(spec, sizes, working)
    reasons += [reason] if reason else []
    return chosen


def _runtime(recipe: Recipe, machine: Machine) -> dict[str, Any]:
    runtime, kind = recipe.runtime, machine.kind
    workers = runtime.num_workers
    if workers == "auto":
        # On a CPU the cores belong to the model: a worker beside two threads costs more than it saves.
        workers = min(8, machine.num_cpus) if kind == "cuda" else max(0, min(2, machine.num_cpus - 2))
    if runtime.precision == "fp16" and kind != "cuda":
        raise RecipeError(f"runtime.precision: fp16 needs a CUDA device, and this is {kind}; use bf16 or auto")
    if runtime.precision == "fp16" and runtime.distributed == "fsdp":
        raise RecipeError("runtime.precision: fp16 scales its loss for whole models only; use bf16 with fsdp")
    return {
        "num_threads": machine.num_cpus if runtime.num_threads == "auto" else runtime.num_threads,
        "num_workers": workers,
        "matmul": machine.matmul if runtime.matmul == "auto" else runtime.matmul,
        "device": kind if runtime.device == "auto" else runtime.device,
        "distributed": "ddp" if runtime.distributed == "auto" else runtime.distributed,
    }


def _summary(recipe: ResolvedRecipe, index: Index) -> str:
    length = f"{recipe.training.epochs} epochs"
    if recipe.training.minutes is not None:
        length = f"{recipe.training.minutes:g} minutes"
    return (
        f"input {recipe.data.size.width}x{recipe.data.size.height} (width x height), {recipe.data.fit}; "
        f"{length}, batch {recipe.training.batch_size}, {recipe.optim.kind} at {recipe.optim.lr:g}, "
        f"augmentation {recipe.augment.policy}, best by val {recipe.training.select}"
    )
