"""Explanation of a prediction: the answer of each sample, and for each view maps of important places.

`METHODS` are the kinds of map. Unless one is named, a network with global attention (ViT, CCT) is explained by gradient
rollout, a convolutional one by LayerCAM, any other by Grad-CAM, and one that has none of them by occlusion.
`obverse.explain.picture` draws the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from obverse.data import Batch
from obverse.decisions import require_numbers
from obverse.engines import TorchEngine
from obverse.errors import RecipeError
from obverse.models import run_eagerly

from .attention import attention_maps, gradient_rollouts
from .gradcam import gradcam_maps, layercam_maps
from .influence import Influence, view_influence
from .methods import (
    ALL,
    GRAD_CAM,
    GRADIENT_ROLLOUT,
    LAYER_CAM,
    NEED_GRADIENTS,
    OCCLUSION,
    OF_CLASS,
    require_methods,
    wanted_methods,
)
from .occlusion import occlusion_map
from .score import log_odds
from .watch import Seen, Watch

HeatMap = npt.NDArray[np.float32]
# Maps of one network: method -> map.
Maps = dict[str, torch.Tensor]
# Why a network lacks a map; one that needs attention lacks it for want of that.
WHY_NOT = {
    GRAD_CAM: "its layers cannot be followed",
    LAYER_CAM: "it has attention, or no feature map of 8 cells a side",
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explanation of one sample."""

    id: str

    answer: int
    """Index of the predicted class; for label sets, of the leading class."""

    target: int
    """Index of the class that the maps explain: `answer`, unless another one was asked for."""

    logits_K: npt.NDArray[np.float32]
    """Class logits."""

    views: dict[str, npt.NDArray[np.uint8]]
    """View that is present -> input picture, uint8 (H, W, 3)."""

    maps: dict[str, dict[str, HeatMap]]
    """View -> method -> map (H, W) from 0 to 1, where 1 is the strongest place."""

    influence: Influence | None = None
    """How much each view moved the probability of `target`; None for a sample of one view."""


def explain(
    engine: TorchEngine,
    batch: Batch,
    views: tuple[str, ...],
    *,
    methods: Sequence[str] = (),
    target: int | None = None,
) -> Iterator[Explanation]:
    """Explanations, sample by sample. Weights, modes, random state and fused attention are not changed.

    methods: names of `METHODS`, or `all` that the network has; empty for the default of its family.
    target: index of the class to explain; None for the predicted class, or the leading one of a label set.

    RecipeError for a method that does not exist, or that the network does not have. DataError for a sample whose logits
    are not finite.
    """
    assert not engine.model.training, "an engine's model is in evaluation mode"
    require_methods(methods)
    for single in batch.split(1):
        yield _explain_one(engine, single.to(engine.forward.device), views, methods, target)


def quick_maps(engine: TorchEngine, batch: Batch, target: int) -> list[HeatMap]:
    """The default map of each view of one sample, from one pass with gradients: (H, W) each, from 0 to 1.

    target: index of the class to explain. Of an ensemble of several families, the map of the first.

    RecipeError for a network that has no such map, only that by occlusion, which takes many passes.
    """
    members = []
    for maps in _gradient_maps(engine, batch.to(engine.forward.device), target):
        (name,) = wanted_methods((), [*maps, OCCLUSION], has_attention=GRADIENT_ROLLOUT in maps)
        members.append({name: maps[name]} if name in maps else {})
    if not any(members):
        raise RecipeError("this network has no quick map of where it looks; `obverse explain` draws one by occlusion")
    size = (batch.images_BVCHW.shape[3], batch.images_BVCHW.shape[4])
    views = range(batch.present_BV.shape[1])
    return [next(iter(_of_view([_at(maps, view) for maps in members], size).values())) for view in views]


def _explain_one(
    engine: TorchEngine, batch: Batch, views: tuple[str, ...], methods: Sequence[str], target: int | None
) -> Explanation:
    logits_K, answer, members = _look(engine, batch)
    target = answer if target is None else target
    present = [number for number, is_here in enumerate(batch.present_BV[0].tolist()) if is_here]
    images = batch.images_BVCHW[0].cpu().numpy().transpose(0, 2, 3, 1)
    maps = _maps(engine, batch, members, methods, target)
    return Explanation(
        id=batch.ids[0],
        answer=answer,
        target=target,
        logits_K=logits_K,
        views={views[number]: images[number] for number in present},
        maps={views[number]: maps[number] for number in present},
        influence=view_influence(engine, batch, views, target),
    )


def _look(engine: TorchEngine, batch: Batch) -> tuple[npt.NDArray[np.float32], int, list[Maps]]:
    """Class logits and predicted class of one sample, and attention maps (V, h, w) of every member."""
    model, forward = engine.model, engine.forward
    with torch.no_grad(), run_eagerly(), Watch(model.encoders) as watch:
        logits = forward.logits(model, batch)
    logits_1K = forward.class_logits(logits).float().cpu().numpy()
    require_numbers(logits_1K, batch.ids)
    members = [_attention(backbones, calls) for backbones, calls in zip(model.encoders, watch.members(), strict=True)]
    return logits_1K[0], int(forward.leading_class(logits)[0]), members


def _maps(
    engine: TorchEngine, batch: Batch, members: list[Maps], methods: Sequence[str], target: int
) -> list[dict[str, HeatMap]]:
    """Maps of each view by method. members: attention maps of every member."""
    has_attention = [bool(maps) for maps in members]
    if not methods or ALL in methods or not {*NEED_GRADIENTS}.isdisjoint(methods):
        gradient = _gradient_maps(engine, batch, target)
        members = [maps | more for maps, more in zip(members, gradient, strict=True)]
    wanted = [
        wanted_methods(methods, [*maps, OCCLUSION], has_attention=has)
        for maps, has in zip(members, has_attention, strict=True)
    ]
    _require_available(methods, members, lambda: _gradient_maps(engine, batch, target))
    members = [
        {name: maps[name] for name in names if name in maps} for maps, names in zip(members, wanted, strict=True)
    ]
    size = (batch.images_BVCHW.shape[3], batch.images_BVCHW.shape[4])
    result = [_of_view([_at(maps, view) for maps in members], size) for view in range(batch.present_BV.shape[1])]
    if any(OCCLUSION in names for names in wanted):
        for view in batch.present_BV[0].nonzero()[:, 0].tolist():
            result[view][OCCLUSION] = _from_zero_to_one(occlusion_map(engine, batch, view, target)).numpy()
    return result


def _require_available(methods: Sequence[str], members: list[Maps], gradient: Callable[[], list[Maps]]) -> None:
    """RecipeError for a named method for which no member has a map. gradient: maps by gradients, of every member."""
    for name in methods:
        if name not in (ALL, OCCLUSION) and not any(name in maps for maps in members):
            known = ", ".join(dict.fromkeys([*(name for maps in (*members, *gradient()) for name in maps), OCCLUSION]))
            why = WHY_NOT.get(name, "its tokens do not all see each other")
            raise RecipeError(f"this network has no `{name}` map, because {why}; choose of {known}")


def _attention(backbones: nn.ModuleList, calls: list[Seen]) -> Maps:
    """Attention maps of one member; empty when its backbones have no such attention."""
    per_call = [attention_maps(seen, has_class_token=_has_class_token(backbones)) for seen in calls]
    known = [maps for maps in per_call if maps is not None]
    return {name: torch.cat([maps[name] for maps in known]) for name in known[0]} if len(known) == len(per_call) else {}


def _gradient_maps(engine: TorchEngine, batch: Batch, target: int) -> list[Maps]:
    """Gradient rollout, LayerCAM and Grad-CAM of every member, for the log-odds of the class `target`."""
    model, forward = engine.model, engine.forward
    with torch.enable_grad(), run_eagerly(), Watch(model.encoders) as watch:
        logits = forward.logits(model, batch)
        score = log_odds(forward.class_logits(logits), target, forward.kind)[0]
    members = []
    for backbones, calls in zip(model.encoders, watch.members(), strict=True):
        rollouts = gradient_rollouts(calls, score, has_class_token=_has_class_token(backbones))
        cams = gradcam_maps(calls, score, int(backbones[0].num_features))  # type: ignore[arg-type]
        named = {GRADIENT_ROLLOUT: rollouts, LAYER_CAM: layercam_maps(calls, score), GRAD_CAM: cams}
        members.append({name: torch.cat(maps) for name, maps in named.items() if maps})
    return members


def _has_class_token(backbones: nn.ModuleList) -> bool | None:
    return getattr(backbones[0], "has_class_token", None)


def _at(maps: Maps, view: int) -> Maps:
    return {name: map_Vhw[view] for name, map_Vhw in maps.items()}


def _of_view(members: list[Maps], size: tuple[int, int]) -> dict[str, HeatMap]:
    """Maps at the picture's size with maximum 1; for an ensemble the mean over members that have such a map.

    Attention has no meaningful scale, so every member's map is normalised first. The scale of a class's map is the gain
    of the class's odds, so a member without influence adds nothing.
    """
    result: dict[str, HeatMap] = {}
    for name in dict.fromkeys(name for maps in members for name in maps):
        large = [_stretched(maps[name], size) for maps in members if name in maps]
        if name not in OF_CLASS:
            large = [_from_zero_to_one(map_HW) for map_HW in large]
        result[name] = _from_zero_to_one(torch.stack(large).mean(0)).cpu().numpy()
    return result


def _stretched(map_hw: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    large_HW = functional.interpolate(map_hw[None, None].float(), size, mode="bicubic", align_corners=False)[0, 0]
    return large_HW.clamp(min=0)


def _from_zero_to_one(map_HW: torch.Tensor) -> torch.Tensor:
    return map_HW / map_HW.max().clamp(min=torch.finfo(torch.float32).tiny)
