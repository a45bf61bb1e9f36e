"""Resolution of the model: backbone, fusion and input size, from the pictures' sizes and the weights at hand."""

from __future__ import annotations

import math
from statistics import median

from obverse.errors import RecipeError
from obverse.models import InputNeeds, why_unavailable
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
)

# Median of the pictures' shorter sides, in pixels, up to which they count as small.
SMALL_SIDE = 64
# Side of a square input of the usual area: from scratch, and for pretrained weights that do not state their own.
SCRATCH_SIDE = 128
FINETUNE_SIDE = 224
# Pretrained backbone for each kind of device.
PRETRAINED = {"cpu": "resnet18.a1_in1k", "cuda": "resnet50.a1_in1k", "mps": "resnet18.a1_in1k"}
# Pictures share an aspect ratio when 90 % of them lie within this relative distance of the median.
SAME_ASPECT = 0.1


def choose_model(recipe: Recipe, sizes: list[tuple[int, int]], device: str, reasons: list[str]) -> ModelSpec:
    """The model with its backbone chosen: pretrained, unless the pictures are small or no weights can be had."""
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
