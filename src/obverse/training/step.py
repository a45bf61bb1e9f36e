"""One optimizer step: micro-batches, gradients, clipping. It stops at the first number that is not finite."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from obverse.data import Batch
from obverse.errors import DivergedError
from obverse.evaluation import Forward
from obverse.losses import cross_entropy
from obverse.models import Classifier
from obverse.recipe import LossSpec


@dataclass(frozen=True)
class StepResult:
    """Sums over the valid samples of the batch."""

    loss_sum: float
    weight: float
    num_correct: float


def train_step(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    forward: Forward,
    batch: Batch,
    *,
    micro_batch_size: int,
    loss: LossSpec,
    clip_norm: float | None,
) -> StepResult:
    """Accumulate gradients of the mean loss over the whole batch, then step.

    Raises DivergedError, before any weight changes, when the loss or a gradient is not finite.
    """
    total_weight = float(batch.valid_B.sum())
    loss_sum = torch.zeros((), device=forward.device)
    num_correct = torch.zeros((), device=forward.device)
    optimizer.zero_grad(set_to_none=True)
    for micro in batch.split(micro_batch_size):
        part = micro.to(forward.device)
        logits_BK = forward.logits(model, part)
        part_sum, _ = cross_entropy(logits_BK, part.labels_B, part.valid_B, label_smoothing=loss.label_smoothing)
        (part_sum / total_weight).backward()  # type: ignore[no-untyped-call]
        loss_sum += part_sum.detach()
        num_correct += ((logits_BK.argmax(1) == part.labels_B) & part.valid_B).sum()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip_norm or float("inf"))
    if not (torch.isfinite(loss_sum) and torch.isfinite(norm)):
        optimizer.zero_grad(set_to_none=True)
        raise DivergedError(
            f"the loss is {float(loss_sum) / total_weight:g} and the gradient norm {float(norm):g}; the samples of "
            f"this step are {', '.join(batch.ids[:8])}{' ...' if len(batch) > 8 else ''}. Try a tenth of optim.lr, or "
            "optim.clip_norm=1"
        )
    optimizer.step()
    return StepResult(float(loss_sum), total_weight, float(num_correct))
