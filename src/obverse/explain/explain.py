"""Explanation of a prediction: the answer of each sample, and for each view maps of important places.

`attention` and `rollout` for networks with global attention (ViT, CCT), `grad-cam` of the predicted class for others.
`obverse.explain.picture` draws the maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from obverse.data import Batch
from obverse.engines import TorchEngine

from .attention import attention_maps
from .gradcam import gradcam_maps
from .watch import Seen, Watch

HeatMap = npt.NDArray[np.float32]
# Maps of one network: method -> map.
Maps = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explanation of one sample."""

    id: str

    answer: int
    """Index of the predicted class; for label sets, of the leading class."""

    logits_K: npt.NDArray[np.float32]
    """Class logits."""

    views: dict[str, npt.NDArray[np.uint8]]
    """View that is present -> input picture, uint8 (H, W, 3)."""

    maps: dict[str, dict[str, HeatMap]]
    """View -> method -> map (H, W) from 0 to 1, where 1 is the strongest place; no methods where there is no map."""


def explain(engine: TorchEngine, batch: Batch, views: tuple[str, ...]) -> Iterator[Explanation]:
    """Explanations, sample by sample. Weights, modes, random state and fused attention are not changed."""
    assert not engine.model.training, "an engine's model is in evaluation mode"
    for single in batch.split(1):
        yield _explain_one(engine, single.to(engine.forward.device), views)


def _explain_one(engine: TorchEngine, batch: Batch, views: tuple[str, ...]) -> Explanation:
    forward = engine.forward
    logits_1K, members = _look(engine, batch)
    size = (batch.images_BVCHW.shape[3], batch.images_BVCHW.shape[4])
    present_views = [number for number, present in enumerate(batch.present_BV[0].tolist()) if present]
    images = batch.images_BVCHW[0].cpu().numpy().transpose(0, 2, 3, 1)
    return Explanation(
        id=batch.ids[0],
        answer=int(forward.leading_class(logits_1K)[0]),
        logits_K=forward.class_logits(logits_1K)[0].float().cpu().numpy(),
        views={views[number]: images[number] for number in present_views},
        maps={views[number]: _of_view([_at(maps, number) for maps in members], size) for number in present_views},
    )


def _look(engine: TorchEngine, batch: Batch) -> tuple[torch.Tensor, list[Maps]]:
    """The head's logits, and maps (V, h, w) of every member."""
    model, forward = engine.model, engine.forward
    # The eager network runs, because a compiled one does not call hooks on its inner modules.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), Watch(model.encoders) as watch:
        logits_1K = forward.logits(model, batch)
    members = [_attention(backbones, calls) for backbones, calls in zip(model.encoders, watch.members(), strict=True)]
    if not all(members):
        cams = _gradcam(engine, batch)
        members = [maps or cam for maps, cam in zip(members, cams, strict=True)]
    return logits_1K, members


def _attention(backbones: nn.ModuleList, calls: list[Seen]) -> Maps:
    """Attention maps of one member; empty when its backbones have no such attention."""
    has_class_token = getattr(backbones[0], "has_class_token", None)
    per_call = [attention_maps(seen, has_class_token=has_class_token) for seen in calls]
    known = [maps for maps in per_call if maps is not None]
    return {name: torch.cat([maps[name] for maps in known]) for name in known[0]} if len(known) == len(per_call) else {}


def _gradcam(engine: TorchEngine, batch: Batch) -> list[Maps]:
    """Grad-CAM maps of the predicted class's logit, for every member."""
    model, forward = engine.model, engine.forward
    with torch.enable_grad(), torch.compiler.set_stance("force_eager"), Watch(model.encoders) as watch:
        logits = forward.logits(model, batch)
        score = forward.class_logits(logits)[0, int(forward.leading_class(logits)[0])]
    members = []
    for backbones, calls in zip(model.encoders, watch.members(), strict=True):
        cams = gradcam_maps(calls, score, int(backbones[0].num_features))  # type: ignore[arg-type]
        members.append({"grad-cam": torch.cat(cams)} if cams else {})
    return members


def _at(maps: Maps, view: int) -> Maps:
    return {name: map_Vhw[view] for name, map_Vhw in maps.items()}


def _of_view(members: list[Maps], size: tuple[int, int]) -> dict[str, HeatMap]:
    """Maps at the picture's size with maximum 1; for an ensemble the mean over members that have such a map.

    Attention has no meaningful scale, so every member's map is normalised first. The scale of Grad-CAM is the gain of
    the logit, so a member without influence adds nothing.
    """
    result: dict[str, HeatMap] = {}
    for name in dict.fromkeys(name for maps in members for name in maps):
        large = [_stretched(maps[name], size) for maps in members if name in maps]
        if name != "grad-cam":
            large = [_from_zero_to_one(map_HW) for map_HW in large]
        result[name] = _from_zero_to_one(torch.stack(large).mean(0)).cpu().numpy()
    return result


def _stretched(map_hw: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    large_HW = functional.interpolate(map_hw[None, None].float(), size, mode="bicubic", align_corners=False)[0, 0]
    return large_HW.clamp(min=0)


def _from_zero_to_one(map_HW: torch.Tensor) -> torch.Tensor:
    return map_HW / map_HW.max().clamp(min=torch.finfo(torch.float32).tiny)
