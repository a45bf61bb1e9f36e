"""Head first: fit fusion and heads to the frozen backbone's features, before everything trains (LP-FT).

Kumar et al. 2022 (arXiv:2202.10054): a random head sends large, useless gradients into a pretrained backbone and
distorts its features; a head that is already fitted does not. The features are computed once, of the pictures as they
are, so an epoch costs next to nothing. It is part of the start of a run: a run that is interrupted here starts again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from obverse.data import Batch
from obverse.engines import Forward
from obverse.errors import DivergedError
from obverse.losses import Objective
from obverse.models import Classifier
from obverse.recipe import HeadFirstSpec
from obverse.runtime import autocast, named_generator


@dataclass(frozen=True)
class Features:
    """Features and targets of all training samples under the frozen backbone, on the training device."""

    features_NVD: torch.Tensor
    present_NV: torch.Tensor
    targets_NK: torch.Tensor
    columns_NE: torch.Tensor


@torch.no_grad()
def frozen_features(model: Classifier, forward: Forward, batches: Iterable[Batch], objective: Objective) -> Features:
    """The features of `batches`, from the backbone in evaluation mode."""
    model.eval()
    parts: list[tuple[torch.Tensor, ...]] = []
    for batch in (batch.to(forward.device) for batch in batches):
        with autocast(forward.device, forward.precision):
            features_BVD = model.features(forward.inputs(batch)).float()
        columns_BE = features_BVD.new_empty(len(batch), 0) if batch.columns_BE is None else batch.columns_BE
        targets_BK = batch.loss_targets(objective.num_classes)
        columns = (features_BVD, batch.present_BV, targets_BK, columns_BE)
        parts.append(tuple(rows[batch.valid_B] for rows in columns))
    return Features(*(torch.cat(column) for column in zip(*parts, strict=True)))


def fit_head(
    model: Classifier, known: Features, objective: Objective, spec: HeadFirstSpec, *, batch_size: int, seed: int
) -> float:
    """Mean loss of the last epoch, after training all but the backbones on `known`. Raises DivergedError."""
    parts = torch.nn.ModuleList([part for name, part in model.named_children() if name != "backbones"]).train()
    optimizer = torch.optim.AdamW(parts.parameters(), lr=spec.lr, weight_decay=0.0)
    mean = 0.0
    for epoch in range(spec.epochs):
        order_N = torch.from_numpy(named_generator("head", seed, epoch).permutation(len(known.targets_NK)))
        sums = [_head_step(model, known, rows_B, objective, optimizer) for rows_B in torch.split(order_N, batch_size)]
        mean = sum(loss for loss, _ in sums) / sum(weight for _, weight in sums)
        if mean != mean:
            raise DivergedError("the loss is nan while the head is fitted first; lower finetune.head_first.lr")
    return mean


def _head_step(
    model: Classifier,
    known: Features,
    rows_B: torch.Tensor,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
) -> tuple[float, float]:
    rows_B = rows_B.to(known.targets_NK.device)
    targets_BK, present_BV = known.targets_NK[rows_B], known.present_NV[rows_B]
    seen = (known.features_NVD[rows_B], present_BV, known.columns_NE[rows_B])
    if objective.view_weight:
        losses_B = objective.losses_with_views(model.answer(*seen, each_view=True), targets_BK, present_BV)
    else:
        losses_B = objective.losses(model.answer(*seen), targets_BK)
    loss_sum, weight = losses_B.sum(), objective.weights(targets_BK).sum()
    optimizer.zero_grad(set_to_none=True)
    (loss_sum / weight).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss_sum.detach()), float(weight)
