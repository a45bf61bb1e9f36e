"""Replacement of every `auto` in a recipe by a value for the data and the machine, with reasons for the user.

A resolved recipe has no `auto`, so training it again repeats the run. `docs/explanation/defaults.md` says on which data
the constants were measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import Any

from obverse import metrics
from obverse.errors import RecipeError
from obverse.manifest import Index, Manifest, mirrored_classes, mostly_grades
from obverse.models import InputNeeds, input_needs, pinned, why_unavailable
from obverse.recipe import (
    POLICIES,
    AutoBackbone,
    AutoFusion,
    CacheSpec,
    ConvNetBackbone,
    DataSpec,
    FinetuneSpec,
    HeadFirstSpec,
    ModelSpec,
    Recipe,
    ResolvedAugment,
    ResolvedRecipe,
    Size,
    TimmBackbone,
    WithWeights,
)
from obverse.runtime import UNIT

from .caching import choose_cache
from .machine import Machine
from .resolve_loss import IMBALANCED, imbalance, resolve_loss

# Median of the pictures' shorter sides, in pixels, up to which they count as small.
SMALL_SIDE = 64
# Side of a square input of the usual area: from scratch, and for pretrained weights that do not state their own.
SCRATCH_SIDE = 128
FINETUNE_SIDE = 224
# Pretrained backbone for each kind of device.
PRETRAINED = {"cpu": "resnet18.a1_in1k", "cuda": "resnet50.a1_in1k", "mps": "resnet18.a1_in1k"}
# Pictures share an aspect ratio when 90 % of them lie within this relative distance of the median.
SAME_ASPECT = 0.1
COIN_VIEWS = frozenset({"obverse", "reverse", "obv", "rev"})
MAX_BATCH = 128
# Cached training pictures have this many times the input's sides, so that crops come from real pixels.
WORKING_MARGIN = 1.25
# Epochs are chosen to show the model this many pictures in training, within the range.
PICTURES_TO_SEE = 300_000
EPOCH_RANGE = (10, 60)
# Base learning rates at a batch of 128 by optimizer; `docs/explanation/defaults.md` says where they come from.
SCRATCH_RATES = {"sgd": 0.1, "adamw": 1e-3}
FINETUNE_RATES = {"sgd": 0.02, "adamw": 5e-4}
PATCHES_FINETUNE_RATES = {"sgd": 0.02, "adamw": 2e-4}
PART_RATES = {"sgd": 0.2, "adamw": 2e-3}
# Most training pictures for which the head is fitted first: 0.8 GB for ResNet-50, with 2048 features per picture.
MAX_FEATURES = 100_000


# Fields that only `tune.py` can decide, from the model's weights or by measurement, each with its value until then.
PLAIN: dict[str, object] = {
    "finetune.freeze_norm": False,
    "runtime.precision": "fp32",
    "runtime.channels_last": False,
    "runtime.compile": False,
}


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
    _require_several_views(recipe, index.manifest.views)
    sizes = _sizes(index)
    model = pinned(_model(recipe, sizes, machine.kind, reasons))
    needs = input_needs(model)
    size = recipe.data.size if isinstance(recipe.data.size, Size) else _size(model, sizes, needs)
    model = _fusion(model, index.manifest.views, reasons)
    data = _data(recipe, index, size, needs)
    augment = _augment(_unmirrored(recipe, index, reasons), index, size, sizes)
    model = _mirrored(model, augment)
    data = data.changed({"cache": _cache(data.cache, index, size, augment.margin, reasons)})
    training = _training(recipe, index, machine)
    finetune = _finetune(recipe.finetune, model, index)
    loss = resolve_loss(recipe, index.manifest, reasons)
    measurable = _measurable(recipe)
    decided = {
        "model": model,
        "data": data,
        "augment": augment,
        "loss": loss,
        "finetune": finetune,
        "training": recipe.training.changed(training),
        "optim.lr": _rate(recipe, model, needs, training["batch_size"]),
        "schedule.warmup_epochs": _warmup(recipe, training["epochs"]),
        "runtime": recipe.runtime.changed(_runtime(recipe, machine)),
    }
    plain = {field: PLAIN[field] for field in measurable}
    resolved = ResolvedRecipe.of(recipe.changed(decided).changed(plain))
    reasons.append(_summary(resolved, index))
    # Without bf16 arithmetic in hardware, bf16 is never faster: it need not be measured.
    is_fp32 = machine.has_fast_bf16 is False
    return Resolved(resolved, needs, tuple(reasons), measurable - ({"runtime.precision"} if is_fp32 else set()))


def _measurable(recipe: Recipe) -> frozenset[str]:
    finetune, runtime = recipe.finetune, recipe.runtime
    values = (finetune.freeze_norm, runtime.precision, runtime.channels_last, runtime.compile)
    return frozenset(field for field, value in zip(PLAIN, values, strict=True) if value == "auto")


def _fusion(model: ModelSpec, views: tuple[str, ...], reasons: list[str]) -> ModelSpec:
    """The model with its fusion chosen."""
    if not isinstance(model.fusion, AutoFusion):
        return model
    fusion = model.fusion.chosen(len(views))
    if len(views) > 1:
        reasons.append(f"fusion: {fusion.kind}, because a class may depend on several views together")
    return model.changed({"fusion": fusion})


def _require_several_views(recipe: Recipe, views: tuple[str, ...]) -> None:
    """RecipeError for settings that have no effect on one view, when the data has one."""
    model = recipe.model
    given = {f"model.fusion.kind: {model.fusion.kind}": model.fusion.kind not in ("auto", "concat"),
             "model.view_heads": model.view_heads,
             "model.sharing: separate": model.sharing == "separate",
             "augment.view_dropout": recipe.augment.view_dropout not in ("auto", 0)}  # fmt: skip
    for name, is_given in given.items():
        if is_given and len(views) == 1:
            raise RecipeError(f"{name} has no effect on one view, and the data has only `{views[0]}`; leave it out")


def _sizes(index: Index) -> list[tuple[int, int]]:
    return [index.facts.size_of[path] for path in index.manifest.samples.paths()]


def _model(recipe: Recipe, sizes: list[tuple[int, int]], device: str, reasons: list[str]) -> ModelSpec:
    if not isinstance(recipe.model.backbone, AutoBackbone):
        return recipe.model
    side = median(min(size) for size in sizes)
    name = PRETRAINED[device]
    backbone: ConvNetBackbone | TimmBackbone = ConvNetBackbone()
    if side <= SMALL_SIDE:
        reasons.append(f"model: convnet from scratch, because the pictures are small ({side:g} pixels)")
    elif (missing := why_unavailable(name)) is None:
        backbone = TimmBackbone(name=name)
        reasons.append(f"model: {name}, pretrained, because its weights can be had")
    else:
        reasons.append(
            f"model: convnet from scratch; pretrained weights ({name}) would usually be better, but {missing}"
        )
    return recipe.model.changed({"backbone": backbone})


def _mirrored(model: ModelSpec, augment: ResolvedAugment) -> ModelSpec:
    backbone = model.backbone
    if not isinstance(backbone, ConvNetBackbone) or backbone.mirrored != "auto":
        return model
    mirrored = bool(augment.mirror)
    return model.changed({"backbone.mirrored": mirrored})


def _size(model: ModelSpec, sizes: list[tuple[int, int]], needs: InputNeeds) -> Size:
    """Input size with the area that the weights were trained at, or a standard area.

    Has the pictures' aspect ratio when at least 90 % share one, else is square (or of the weights' own shape).
    """
    side = min(SCRATCH_SIDE, round(median(math.sqrt(h * w) for h, w in sizes)))
    if isinstance(model.backbone, WithWeights):
        side = round(math.sqrt(math.prod(needs.size))) if needs.size else FINETUNE_SIDE
    aspects = [width / height for height, width in sizes]
    aspect = median(aspects)
    close = sum(abs(a / aspect - 1) <= SAME_ASPECT for a in aspects)
    if close < 0.9 * len(aspects) or abs(aspect - 1) < SAME_ASPECT:
        aspect = 1.0
        if needs.size:
            return Size(height=needs.size[0], width=needs.size[1])
    unit = needs.multiple if needs.size and needs.multiple > 1 else 4 if side <= SMALL_SIDE else 16

    def rounded(length: float) -> int:
        return max(unit, round(length / unit) * unit)

    return Size(height=rounded(side / math.sqrt(aspect)), width=rounded(side * math.sqrt(aspect)))


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


def _augment(recipe: Recipe, index: Index, size: Size, sizes: list[tuple[int, int]]) -> ResolvedAugment:
    augment = recipe.augment
    if augment.policy == "auto":
        # Mirrored lettering does not exist, and coins have lettering.
        has_lettering = mostly_grades(index.manifest.classes) or COIN_VIEWS & set(map(str.lower, index.manifest.views))
        augment = augment.changed({"policy": "no-mirror" if has_lettering else "generic"})
        if median(min(s) for s in sizes) <= SMALL_SIDE and augment.shift is None and augment.min_scale is None:
            # Resampling blurs small pictures: they are moved by whole pixels instead of cropped.
            augment = augment.changed({"shift": 0.125, "min_scale": 1.0, "jitter": augment.jitter or 0.0})
    filled = augment.filled(num_views=len(index.manifest.views), num_columns=len(index.manifest.columns))
    source_side = median(math.sqrt(h * w) for h, w in sizes)
    has_pixels = source_side >= WORKING_MARGIN * math.sqrt(size.height * size.width)
    if recipe.augment.margin is None and has_pixels and filled.min_scale != 1:
        filled = filled.changed({"margin": WORKING_MARGIN})
    return filled


def _cache(spec: CacheSpec, index: Index, size: Size, margin: float, reasons: list[str]) -> CacheSpec:
    wanted = [s for s in index.manifest.samples if s.split in ("train", "val")]
    sizes = [index.facts.size_of[path] for sample in wanted for path in sample.views.values()]
    working = round(size.height * margin), round(size.width * margin)
    chosen, reason = choose_cache(spec, sizes, working)
    reasons += [reason] if reason else []
    return chosen


def _training(recipe: Recipe, index: Index, machine: Machine) -> dict[str, Any]:
    training = recipe.training
    num_train = index.manifest.split_counts()["train"]
    batch = training.batch_size
    if batch == "auto":
        least = max(8, min(MAX_BATCH, 2 ** round(math.log2(max(8, num_train / 12)))))
        batch = least + -least % (UNIT * machine.processes)
    epochs = training.epochs
    if epochs == "auto":
        views = len(index.manifest.views)
        epochs = max(EPOCH_RANGE[0], min(EPOCH_RANGE[1], math.ceil(PICTURES_TO_SEE / (num_train * views))))
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


def _finetune(spec: FinetuneSpec, model: ModelSpec, index: Index) -> FinetuneSpec:
    """The spec with `head_first` decided: on for pretrained backbones that train as a whole.

    A random head would send large gradients into the pretrained features and distort them (see `head_first.py`).
    """
    if spec.head_first != "auto":
        return spec
    num_pictures = index.manifest.split_counts()["train"] * len(index.manifest.views)
    alone_first = spec.train == "head" or spec.unfreeze_epochs
    wanted = not model.backbone.is_scratch and not alone_first and num_pictures <= MAX_FEATURES
    return spec.changed({"head_first": HeadFirstSpec() if wanted else None})


def _rate(recipe: Recipe, model: ModelSpec, needs: InputNeeds, batch_size: int) -> float:
    """The base learning rate, scaled with the batch size: linearly for sgd, by the square root for adam and adamw."""
    if recipe.optim.lr != "auto":
        return recipe.optim.lr
    if model.backbone.is_scratch:
        rates = SCRATCH_RATES | ({"adamw": 5e-3} if isinstance(model.backbone, ConvNetBackbone) else {})
    elif recipe.finetune.train == "head" or recipe.finetune.lora:
        rates = PART_RATES
    else:
        rates = PATCHES_FINETUNE_RATES if needs.multiple > 1 else FINETUNE_RATES
    if recipe.optim.kind == "sgd":
        return rates["sgd"] * batch_size / 128
    return float(f"{rates['adamw'] * math.sqrt(batch_size / 128):.3g}")


def _warmup(recipe: Recipe, epochs: int) -> float:
    warmup = recipe.schedule.warmup_epochs
    if recipe.schedule.kind == "one-cycle":
        return 0.0
    if warmup == "auto":
        return min(3.0, round(0.1 * epochs, 2))
    if warmup >= epochs and recipe.training.minutes is None:
        raise RecipeError(f"schedule.warmup_epochs {warmup:g} leaves nothing of {epochs} epochs; make it shorter")
    return warmup


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
