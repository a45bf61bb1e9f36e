"""Resolution of the model: backbone, fusion and input size, from the pictures' sizes and the weights at hand."""

from __future__ import annotations

import math
from statistics import median

from obverse import models
from obverse.errors import RecipeError
from obverse.models import InputNeeds
from obverse.recipe import (
    AutoBackbone,
    AutoFusion,
    ConvNetBackbone,
    ModelSpec,
    Recipe,
    ResolvedAugment,
    Size,
    TimmBackbone,
    WithWeights,
    budget_of,
    within,
)

# Median of the pictures' shorter sides, in pixels, up to which they count as small.
SMALL_SIDE = 64
# Side of a square input of the usual area: from scratch, and for pretrained weights that do not state their own.
SCRATCH_SIDE = 128
FINETUNE_SIDE = 224
# Pictures share an aspect ratio when 90 % of them lie within this relative distance of the median.
SAME_ASPECT = 0.1


def choose_model(recipe: Recipe, sizes: list[tuple[int, int]], device: str, reasons: list[str]) -> ModelSpec:
    """The model with its backbone chosen: of the weight file given, else pretrained, unless the pictures are small."""
    auto = recipe.model.backbone
    if not isinstance(auto, AutoBackbone):
        return recipe.model
    if len(auto.files) > 1:
        raise RecipeError("model.backbone.pretrained names several weights, which only `obverse train` compares; name "
                          "one here")  # fmt: skip
    if auto.files:
        recognised = models.recognise(auto.files[0], mean=auto.mean, std=auto.std)
        reasons.append(f"model: {recognised.reason}")
        return recipe.model.changed({"backbone": recognised.backbone})
    backbone, reason = _without_file(auto, median(min(size) for size in sizes), device)
    reasons.append(f"model: {reason}")
    return recipe.model.changed({"backbone": backbone})


def _without_file(auto: AutoBackbone, side: float, device: str) -> tuple[ConvNetBackbone | TimmBackbone, str]:
    """Backbone for pictures of this side, and why. The catalogue's first of the device's budget that can be had."""
    if auto.is_scratch:
        return ConvNetBackbone(), "convnet from scratch, as model.backbone.pretrained says"
    if side <= SMALL_SIDE:
        return ConvNetBackbone(), f"convnet from scratch, because the pictures are small ({side:g} pixels)"
    entries = within(budget_of(device))
    missing = models.why_unavailable(entries[0].name)
    for entry in entries:
        # The hub is asked once: where it does not answer, only its cache is left.
        if missing is None or models.is_cached(entry.name):
            return TimmBackbone(name=entry.name), (
                f"{entry.name}, pretrained, licence {entry.licence}, because its weights can be had"
            )
    return ConvNetBackbone(), (
        f"convnet from scratch; pretrained weights ({entries[0].name}) would usually be better, but {missing}; "
        "--weights FILE takes them from a file"
    )


def choose_fusion(model: ModelSpec, views: tuple[str, ...], reasons: list[str]) -> ModelSpec:
    """The model with its fusion chosen."""
    if not isinstance(model.fusion, AutoFusion):
        return model
    fusion = model.fusion.chosen(len(views))
    if len(views) > 1:
        reasons.append(f"fusion: {fusion.kind}, because a class may depend on several views together")
    return model.changed({"fusion": fusion})


def require_several_views(recipe: Recipe, views: tuple[str, ...]) -> None:
    """RecipeError for settings that have no effect on one view, when the data has one."""
    model = recipe.model
    given = {f"model.fusion.kind: {model.fusion.kind}": model.fusion.kind not in ("auto", "concat"),
             "model.view_heads": model.view_heads,
             "model.sharing: separate": model.sharing == "separate",
             "augment.view_dropout": recipe.augment.view_dropout not in ("auto", 0)}  # fmt: skip
    for name, is_given in given.items():
        if is_given and len(views) == 1:
            raise RecipeError(f"{name} has no effect on one view, and the data has only `{views[0]}`; leave it out")


def with_mirroring(model: ModelSpec, augment: ResolvedAugment) -> ModelSpec:
    """The model with the convnet's mirroring decided: on where training mirrors pictures."""
    backbone = model.backbone
    if not isinstance(backbone, ConvNetBackbone) or backbone.mirrored != "auto":
        return model
    mirrored = bool(augment.mirror)
    return model.changed({"backbone.mirrored": mirrored})


def choose_size(model: ModelSpec, sizes: list[tuple[int, int]], needs: InputNeeds) -> Size:
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
