"""One optimizer step: micro-batches, gradients, clipping and the check for numbers that are not finite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from obverse.data import Batch
from obverse.engines import Forward
from obverse.errors import DivergedError, RecipeError
from obverse.losses import Objective

from .micro_batches import MicroBatches
from .parallel import Parallel, whole_number

# Message of torch for batch norm on a single value per channel.
ONE_VALUE = "Expected more than 1 value per channel"


@contextmanager
def explained_at(step: int) -> Iterator[None]:
    """Context of a step whose errors say its number, and what to do where batch norm has a single value."""
    try:
        yield
    except DivergedError as error:
        raise DivergedError(f"diverged at step {step}: {error}") from None
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        raise RecipeError(f"batch norm has nothing to compare at step {step}: a single sample is left, its map one "
                          "place. Take a training.batch_size and micro_batch_size that leave no single sample over, "
                          "or larger pictures") from error  # fmt: skip


@dataclass(frozen=True)
class StepResult:
    """Sums over the valid samples of a batch on all ranks; the loss is loss_sum / weight."""

    loss_sum: float
    weight: float
    num_correct: float
    num_samples: int
    num_pictures: int


@dataclass(frozen=True)
class Update:
    """Weight update: optimizer, gradient clipping, and loss scaling for fp16."""

    optimizer: torch.optim.Optimizer
    clip_norm: float | None = None
    scaler: torch.amp.GradScaler | None = None

    def scaled(self, loss: torch.Tensor) -> torch.Tensor:
        """The scaled loss, from which the backward pass starts."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def norm(self) -> float:
        """The gradient norm before clipping; the gradients are clipped where the recipe says so."""
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        if self.clip_norm is not None:
            return whole_number(torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm))
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        return whole_number(torch.nn.utils.get_total_norm(gradients))

    def can_skip(self) -> bool:
        """Whether the step may be skipped: in fp16, overflow only means that the loss scale is too large."""
        return self.scaler is not None and self.scaler.get_scale() > 1

    def apply(self) -> None:
        """Update the weights; in fp16, a step with overflowed gradients is skipped and the loss scale halved."""
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()


def train_step(
    parallel: Parallel,
    update: Update,
    forward: Forward,
    batch: Batch,
    *,
    micro_batches: MicroBatches,
    objective: Objective,
) -> StepResult:
    """The result of one optimizer step on the mean loss over the batch of all ranks, with accumulated gradients.

    Raises DivergedError on every rank, before any weight changes, when the loss or a gradient is not finite, and
    OutOfMemoryError when not even one sample at a time fits.
    """
    process = parallel.process
    total = process.totals([weight_of(objective, batch)])[0] or 1.0

    def gradients(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        update.optimizer.zero_grad(set_to_none=True)
        # DDP averages gradients over ranks, so multiplying by their number gives the mean over all samples.
        divisor = total / process.world_size
        return _backward(parallel, update, forward, batch.split(size), objective=objective, divisor=divisor)

    losses_B, num_correct = micro_batches.attempt(parallel.model, len(batch), gradients)
    norm = update.norm()
    valid_B1 = batch.valid_B.unsqueeze(1)
    sums = [
        float(losses_B.sum()),
        float(num_correct),
        float(valid_B1.sum()),
        float((batch.present_BV & valid_B1).sum()),
    ]
    all_loss, all_correct, num_samples, num_pictures = process.totals(sums)
    if not (math.isfinite(all_loss) and (math.isfinite(norm) or update.can_skip())):
        update.optimizer.zero_grad(set_to_none=True)
        # Restore the statistics of batch norm, which the pictures of the failed step have changed.
        micro_batches.undo()
        whose, ids = _suspects(parallel, batch, torch.isfinite(losses_B).tolist())
        raise DivergedError(
            f"the loss is {all_loss / total:g} and the gradient norm {norm:g}; {whose} "
            f"{', '.join(ids[:8])}{' ...' if len(ids) > 8 else ''}. Try a tenth of optim.lr, or optim.clip_norm=1"
        )
    update.apply()
    return StepResult(all_loss, total, all_correct, int(num_samples), int(num_pictures))


def _backward(
    parallel: Parallel,
    update: Update,
    forward: Forward,
    micros: Sequence[Batch],
    *,
    objective: Objective,
    divisor: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each sample of this rank (B) and number of correct predictions, after accumulating all gradients."""
    model = parallel.forward_model()
    losses: list[torch.Tensor] = []
    num_correct = torch.zeros((), device=forward.device)
    for number, micro in enumerate(micros, start=1):
        part = micro.to(forward.device)
        parallel.count(micro.valid_B, micro.present_BV)
        with parallel.gradients(is_last=number == len(micros)):
            targets_BK = part.loss_targets(objective.num_classes)
            if objective.view_weight:
                of_each = forward.logits(model, part, each_view=True)
                losses_B = objective.losses_with_views(of_each, targets_BK, part.present_BV)
                logits = of_each[:, 0]
            else:
                logits = forward.logits(model, part)
                losses_B = objective.losses(logits, targets_BK)
            losses_B = torch.where(part.valid_B, losses_B, 0.0)
            update.scaled(losses_B.sum() / divisor).backward()  # type: ignore[no-untyped-call]
        losses.append(losses_B.detach())
        num_correct += (forward.hits(logits.detach(), targets_BK) & part.valid_B).sum()
    return torch.cat(losses), num_correct


def weight_of(objective: Objective, batch: Batch) -> float:
    """This rank's total loss weight over all its micro-batches, known before the first forward pass.

    0 for a shard of padding only, whose loss is 0.
    """
    weights_B = objective.weights(batch.loss_targets(objective.num_classes))
    return float(torch.where(batch.valid_B, weights_B, 0.0).sum())


def _suspects(parallel: Parallel, batch: Batch, finite: list[bool]) -> tuple[str, list[str]]:
    """Ids of the samples whose loss is not finite, of all ranks; all samples when only a gradient is not finite."""
    guilty = [name for name, ok in zip(batch.ids, finite, strict=True) if not ok]
    valid = [name for name, ok in zip(batch.ids, batch.valid_B.tolist(), strict=True) if ok]
    shares = parallel.process.gather((guilty, valid))

    def of_all_ranks() -> tuple[str, list[str]]:
        named = [name for share in shares for name in share[0]]
        if named:
            return "the samples whose loss is not a finite number are", named
        return "the samples of this step are", [name for share in shares for name in share[1]]

    return parallel.process.from_main(of_all_ranks)
