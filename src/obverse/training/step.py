"""One optimizer step: micro-batches, gradients, clipping. It stops at the first number that is not finite."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from obverse.data import Batch
from obverse.errors import DivergedError
from obverse.evaluation import Forward
from obverse.losses import Objective, hard_targets
from obverse.models import Classifier


@dataclass(frozen=True)
class StepResult:
    """Sums over the valid samples of the batch; the loss is loss_sum / weight."""

    loss_sum: float
    weight: float
    num_correct: float
    num_samples: int


def train_step(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    forward: Forward,
    batch: Batch,
    *,
    micro_batch_size: int,
    objective: Objective,
    clip_norm: float | None,
) -> StepResult:
    """Accumulate gradients of the mean loss over the whole batch, then step.

    Raises DivergedError, before any weight changes, when the loss or a gradient is not finite.
    """
    total = total_weight(objective, batch)
    loss_sum = torch.zeros((), device=forward.device)
    num_correct = torch.zeros((), device=forward.device)
    optimizer.zero_grad(set_to_none=True)
    for micro in batch.split(micro_batch_size):
        part = micro.to(forward.device)
        logits = forward.logits(model, part)
        targets_BK = targets_of(part, objective)
        part_sum = torch.where(part.valid_B, objective.losses(logits, targets_BK), 0.0).sum()
        (part_sum / total).backward()  # type: ignore[no-untyped-call]
        loss_sum += part_sum.detach()
        hits_B = forward.answers(logits.detach()) == targets_BK.argmax(1)
        num_correct += (hits_B & part.valid_B).sum()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip_norm or float("inf"))
    if not (torch.isfinite(loss_sum) and torch.isfinite(norm)):
        optimizer.zero_grad(set_to_none=True)
        raise DivergedError(
            f"the loss is {float(loss_sum) / total:g} and the gradient norm {float(norm):g}; the samples of "
            f"this step are {', '.join(batch.ids[:8])}{' ...' if len(batch) > 8 else ''}. Try a tenth of optim.lr, or "
            "optim.clip_norm=1"
        )
    optimizer.step()
    return StepResult(float(loss_sum), total, float(num_correct), int(batch.valid_B.sum()))


def targets_of(batch: Batch, objective: Objective) -> torch.Tensor:
    """What the loss sees (B, K): the labels as distributions, soft where neighbours are mixed."""
    if batch.targets_BK is not None:
        return batch.targets_BK
    return hard_targets(batch.labels_B, objective.num_classes)


def total_weight(objective: Objective, batch: Batch) -> float:
    """The divisor of the step's loss: over all its micro-batches, known before the first forward pass.

    1 for a batch of nothing but padding, whose loss is 0.
    """
    weights_B = objective.weights(targets_of(batch, objective))
    return float(torch.where(batch.valid_B, weights_B, 0.0).sum()) or 1.0
