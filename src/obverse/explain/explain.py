"""Why a model says what it says: per sample its answer, and per view maps of where it looked.

`attention` and `rollout` for networks whose tokens all see each other (ViT, CCT), `grad-cam` for the others, of the
class that is answered. Not pictures: `obverse.explain.picture` draws them.
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
# Of one network: method -> map.
Maps = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Explanation:
    """One sample. answer: the class. views: what the model saw, uint8 (H, W, 3), of the views that are there.

    maps: view -> method -> (H, W) from 0 to 1, where 1 is the strongest place; no maps where a network has none.
    """

    id: str
    answer: int
    logits_K: npt.NDArray[np.float32]
    views: dict[str, npt.NDArray[np.uint8]]
    maps: dict[str, dict[str, HeatMap]]


def explain(engine: TorchEngine, batch: Batch, views: tuple[str, ...]) -> Iterator[Explanation]:
    """One sample after another. Weights, modes, random state and fused attention stay as they are."""
    assert not engine.model.training, "an engine's model is in evaluation mode"
    for single in batch.split(1):
        yield _explain_one(engine, single.to(engine.forward.device), views)


def _explain_one(engine: TorchEngine, batch: Batch, views: tuple[str, ...]) -> Explanation:
    forward = engine.forward
    logits_1K, members = _look(engine, batch)
    size = (batch.images_BVCHW.shape[3], batch.images_BVCHW.shape[4])
    shown = [number for number, present in enumerate(batch.present_BV[0].tolist()) if present]
    images = batch.images_BVCHW[0].cpu().numpy().transpose(0, 2, 3, 1)
    return Explanation(
        id=batch.ids[0],
        answer=int(forward.leading_class(logits_1K)[0]),
        logits_K=forward.class_logits(logits_1K)[0].float().cpu().numpy(),
        views={views[number]: images[number] for number in shown},
        maps={views[number]: _of_view([_at(maps, number) for maps in members], size) for number in shown},
    )


def _look(engine: TorchEngine, batch: Batch) -> tuple[torch.Tensor, list[Maps]]:
    """The head's logits, and maps (V, h, w) of every member."""
    model, forward = engine.model, engine.forward
    # A compiled network shows nothing of its inside, so the plain one runs.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), Watch(model.encoders) as watch:
        logits_1K = forward.logits(model, batch)
    members = [_attention(backbones, calls) for backbones, calls in zip(model.encoders, watch.members(), strict=True)]
    if not all(members):
        found = _gradcam(engine, batch)
        members = [maps or cam for maps, cam in zip(members, found, strict=True)]
    return logits_1K, members


def _attention(backbones: nn.ModuleList, calls: list[Seen]) -> Maps:
    """Maps of one member, nothing when its backbones have no attention of that form."""
    has_class_token = getattr(backbones[0], "has_class_token", None)
    found = [attention_maps(seen, has_class_token=has_class_token) for seen in calls]
    known = [maps for maps in found if maps is not None]
    return {name: torch.cat([maps[name] for maps in known]) for name in known[0]} if len(known) == len(found) else {}


def _gradcam(engine: TorchEngine, batch: Batch) -> list[Maps]:
    """Maps of the answered class's logit, of every member."""
    model, forward = engine.model, engine.forward
    with torch.enable_grad(), torch.compiler.set_stance("force_eager"), Watch(model.encoders) as watch:
        logits = forward.logits(model, batch)
        score = forward.class_logits(logits)[0, int(forward.leading_class(logits)[0])]
    members = []
    for backbones, calls in zip(model.encoders, watch.members(), strict=True):
        found = gradcam_maps(calls, score, int(backbones[0].num_features))  # type: ignore[arg-type]
        members.append({"grad-cam": torch.cat(found)} if found else {})
    return members


def _at(maps: Maps, view: int) -> Maps:
    return {name: map_Vhw[view] for name, map_Vhw in maps.items()}


def _of_view(members: list[Maps], size: tuple[int, int]) -> dict[str, HeatMap]:
    """At the picture's size, the strongest place 1; of an ensemble the mean over members that have such a map.

    Attention says where, not how much it matters, so every member's counts fully; Grad-CAM's strength is what the
    answer gains, so a member that decides nothing shows nothing.
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
