"""Occlusion (Zeiler & Fergus 2014): what a class's odds lose when a place of the picture is covered.

It looks at nothing inside the network, so that it explains every one and judges the other methods. A coarse grid comes
first; around its strongest cells the cover moves by half a cell.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch

from obverse.data import Batch
from obverse.engines import TorchEngine

from .score import log_odds

# Cells along the picture's shorter side.
NUM_CELLS = 6
# Share of the cells around which the cover moves by half a cell.
REFINED = 0.25
BATCH_SIZE = 32
Cell = tuple[int, int, int, int]  # top, bottom, left, right


def occlusion_map(engine: TorchEngine, batch: Batch, view: int, target: int) -> torch.Tensor:
    """Loss of the log-odds of the class `target` (H, W), at least 0, of one sample: mean over the covers of a place."""
    height, width = batch.images_BVCHW.shape[3:]
    half = max(1, round(min(height, width) / NUM_CELLS / 2))
    coarse = _cells(height, width, half, (0, 0))
    drops = _drops(engine, batch, view, target, coarse)
    strongest = sorted(range(len(coarse)), key=lambda place: -drops[place])[: max(1, round(REFINED * len(coarse)))]
    shifted = [cell for shift in ((half, 0), (0, half), (half, half)) for cell in _cells(height, width, half, shift)]
    fine = [cell for cell in shifted if any(_overlap(cell, coarse[place]) for place in strongest)]
    drops += _drops(engine, batch, view, target, fine)
    total_HW, count_HW = torch.zeros(2, height, width).unbind()
    for (top, bottom, left, right), drop in zip([*coarse, *fine], drops, strict=True):
        total_HW[top:bottom, left:right] += drop
        count_HW[top:bottom, left:right] += 1
    return (total_HW / count_HW).clamp(min=0)


def _cells(height: int, width: int, half: int, shift: tuple[int, int]) -> list[Cell]:
    """Cells of the grid whose first line lies at `shift`; at the border they are cut off."""
    tops, lefts = range(shift[0], height, 2 * half), range(shift[1], width, 2 * half)
    return [(top, min(top + 2 * half, height), left, min(left + 2 * half, width)) for top, left in product(tops, lefts)]


def _overlap(one: Cell, other: Cell) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _drops(engine: TorchEngine, batch: Batch, view: int, target: int, cells: list[Cell]) -> list[float]:
    """Loss of log-odds for each cell, covered with the picture's mean colour."""
    picture_CHW = batch.images_BVCHW[0, view]
    mean_C11 = picture_CHW.float().mean((1, 2), keepdim=True).round().to(picture_CHW.dtype)
    pictures = [picture_CHW]
    for top, bottom, left, right in cells:
        covered_CHW = picture_CHW.clone()
        covered_CHW[:, top:bottom, left:right] = mean_C11
        pictures.append(covered_CHW)
    whole, *odds = [value for part in range(0, len(pictures), BATCH_SIZE)
                    for value in _odds(engine, batch, view, target, pictures[part : part + BATCH_SIZE])]  # fmt: skip
    return [whole - value for value in odds]


def _odds(engine: TorchEngine, batch: Batch, view: int, target: int, pictures: list[torch.Tensor]) -> list[float]:
    repeated = batch.repeated(len(pictures))
    images_BVCHW = repeated.images_BVCHW.clone()
    images_BVCHW[:, view] = torch.stack(pictures)
    with torch.no_grad():
        logits = engine.forward.logits(engine.model, replace(repeated, images_BVCHW=images_BVCHW))
        odds_B = log_odds(engine.forward.class_logits(logits).double(), target, engine.forward.kind)
    odds: list[float] = odds_B.tolist()
    return odds
