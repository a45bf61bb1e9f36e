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
from torch.nn import functional

from obverse.data import Batch
from obverse.evaluation import Forward
from obverse.models import Classifier

from .attention import attention_maps
from .gradcam import gradcam_maps
from .watch import Watch

HeatMap = npt.NDArray[np.float32]


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


def explain(model: Classifier, forward: Forward, batch: Batch, views: tuple[str, ...]) -> Iterator[Explanation]:
    """One sample after another. Weights, training mode, random state and fused attention stay as they are."""
    was_training = model.training
    model.eval()
    try:
        for single in batch.split(1):
            yield _explain_one(model, forward, single.to(forward.device), views)
    finally:
        model.train(was_training)


def _explain_one(model: Classifier, forward: Forward, batch: Batch, views: tuple[str, ...]) -> Explanation:
    logits_1K, maps = _look(model, forward, batch)
    size = (batch.images_BVCHW.shape[3], batch.images_BVCHW.shape[4])
    shown = [number for number, present in enumerate(batch.present_BV[0].tolist()) if present]
    images = batch.images_BVCHW[0].cpu().numpy().transpose(0, 2, 3, 1)
    return Explanation(
        id=batch.ids[0],
        answer=int(forward.answers(logits_1K)[0]),
        logits_K=forward.class_logits(logits_1K)[0].float().cpu().numpy(),
        views={views[number]: images[number] for number in shown},
        maps={
            views[number]: {name: _stretched(map_Vhw[number], size) for name, map_Vhw in maps.items()}
            for number in shown
        },
    )


def _look(model: Classifier, forward: Forward, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The head's logits, and per method maps (V, h, w)."""
    # A compiled network shows nothing of its inside, so the plain one runs.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), Watch(model.backbones) as watch:
        logits_1K = forward.logits(model, batch)
    has_class_token = getattr(model.backbones[0], "has_class_token", None)
    attention = [attention_maps(seen, has_class_token=has_class_token) for seen in watch.calls]
    known = [maps for maps in attention if maps is not None]
    if known and len(known) == len(attention):
        return logits_1K, {name: torch.cat([maps[name] for maps in known]) for name in known[0]}
    found = _gradcam(model, forward, batch)
    return logits_1K, {} if found is None else {"grad-cam": torch.cat(found)}


def _gradcam(model: Classifier, forward: Forward, batch: Batch) -> list[torch.Tensor] | None:
    """Maps of the answered class's logit, one row per view."""
    with torch.enable_grad(), torch.compiler.set_stance("force_eager"), Watch(model.backbones) as watch:
        logits = forward.logits(model, batch)
        score = forward.class_logits(logits)[0, int(forward.answers(logits)[0])]
    return gradcam_maps(watch.calls, score, int(model.backbones[0].num_features))  # type: ignore[arg-type]


def _stretched(map_hw: torch.Tensor, size: tuple[int, int]) -> HeatMap:
    """At the picture's size, the strongest place 1."""
    large_HW = functional.interpolate(map_hw[None, None].float(), size, mode="bicubic", align_corners=False)[0, 0]
    large_HW = large_HW.clamp(min=0)
    result: HeatMap = (large_HW / large_HW.max().clamp(min=torch.finfo(torch.float32).tiny)).cpu().numpy()
    return result
