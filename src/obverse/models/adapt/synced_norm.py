"""Synchronised batch norm: statistics over the current micro-batches of all ranks (Peng et al. 2018, MegDet).

N ranks with micro-batches of M samples compute what one process with micro-batches of N * M samples computes.

torch's own SyncBatchNorm runs on GPUs only and has no mask, which excludes padded samples here. Each rank's count, mean
and sum of squared deviations are merged as in Chan et al. 1983, which avoids cancellation.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class SyncedBatchNorm(_BatchNorm):
    """Synchronised replacement of the batch norm `norm`, which shares its tensors.

    Dropout and activation that timm's batch norms include are kept. valid_B: which samples, or pictures, of the next
    batch count; None for all.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())
        self.train(norm.training)
        self.valid_B: torch.Tensor | None = None

    def normed(self, map_NChw: torch.Tensor) -> torch.Tensor:
        """The map normalised by the statistics of all ranks."""
        normed, mean_C, var_C, count = _Normalize.apply(
            map_NChw, self.weight, self.bias, self.eps, self._counted(map_NChw)
        )
        self._track(mean_C, var_C, count)
        result: torch.Tensor = normed
        return result

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass

    def forward(self, map_NChw: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) normalised over N and all positions."""
        normed: torch.Tensor = self.normed(map_NChw) if self.training else super().forward(map_NChw)
        result: torch.Tensor = self.act(self.drop(normed))
        return result

    def _counted(self, map_NChw: torch.Tensor) -> torch.Tensor | None:
        """The mask as (N, 1, 1, 1). The views of a sample are consecutive rows."""
        if self.valid_B is None:
            return None
        num_views = len(map_NChw) // len(self.valid_B)
        mask_N = self.valid_B.repeat_interleave(num_views)
        return mask_N.view(-1, *[1] * (map_NChw.ndim - 1)).float()

    @torch.no_grad()
    def _track(self, mean_C: torch.Tensor, var_C: torch.Tensor, count: torch.Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        is_any = count > 0  # no rank may have a picture of this view
        self.num_batches_tracked.add_(is_any.squeeze())
        share = 1 / self.num_batches_tracked.clamp(min=1) if self.momentum is None else self.momentum
        unbiased_C = var_C * (count / (count - 1).clamp(min=1))
        for running_C, seen_C in ((self.running_mean, mean_C), (self.running_var, unbiased_C)):
            running_C.copy_(torch.where(is_any, running_C.lerp(seen_C.to(running_C.dtype), share), running_C))


class _Normalize(torch.autograd.Function):
    """Forward and backward of batch norm with the statistics of all ranks; weight and bias get this rank's share."""

    @staticmethod
    def forward(
        ctx: Any,
        map_NChw: torch.Tensor,
        weight_C: torch.Tensor | None,
        bias_C: torch.Tensor | None,
        eps: float,
        mask_N: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        exact = map_NChw.float()
        mean_C, var_C, count = _merged(*_statistics(exact, mask_N))
        scale_C = torch.rsqrt(var_C + eps)
        hat = (exact - _wide(mean_C, exact)) * _wide(scale_C, exact)
        ctx.save_for_backward(hat, scale_C, weight_C, count, mask_N)
        ctx.mark_non_differentiable(mean_C, var_C, count)
        result = hat if weight_C is None else hat * _wide(weight_C, exact)
        result = result if bias_C is None else result + _wide(bias_C, exact)
        return result.to(map_NChw.dtype), mean_C, var_C, count

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, *unused: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hat, scale_C, weight_C, count, mask_N = ctx.saved_tensors
        exact = grad.float()
        axes = _axes(exact)
        bias_grad_C, weight_grad_C = exact.sum(axes), (exact * hat).sum(axes)
        sums_2C = torch.stack([bias_grad_C, weight_grad_C])
        dist.all_reduce(sums_2C)
        mean_2C = sums_2C / count.clamp(min=1)
        through_statistics = _wide(mean_2C[0], exact) + hat * _wide(mean_2C[1], exact)
        if mask_N is not None:
            through_statistics = through_statistics * mask_N
        factor_C = scale_C if weight_C is None else scale_C * weight_C
        map_grad = (exact - through_statistics) * _wide(factor_C, exact)
        if weight_C is None:
            return map_grad.to(grad.dtype), None, None, None, None
        return map_grad.to(grad.dtype), weight_grad_C, bias_grad_C, None, None


def _axes(tensor: torch.Tensor) -> tuple[int, ...]:
    return (0, *range(2, tensor.ndim))


def _wide(values_C: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values_C.view(1, -1, *[1] * (like.ndim - 2))


def _statistics(exact: torch.Tensor, mask_N: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(count, mean_C, squares_C) of this rank: squares are summed deviations from the mean."""
    axes, per_sample = _axes(exact), exact[0, 0].numel()
    if mask_N is None:
        var_C, mean_C = torch.var_mean(exact, axes, correction=0)
        count = torch.full((1,), len(exact) * per_sample, dtype=exact.dtype, device=exact.device)
        return count, mean_C, var_C * count
    count = mask_N.sum().view(1) * per_sample
    mean_C = (exact * mask_N).sum(axes) / count.clamp(min=1)
    squares_C = ((exact - _wide(mean_C, exact)).square() * mask_N).sum(axes)
    return count, mean_C, squares_C


def _merged(
    count: torch.Tensor, mean_C: torch.Tensor, squares_C: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(mean_C, var_C, count) over all ranks."""
    mine = torch.cat([count, mean_C, squares_C])
    ranks = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(ranks, mine)
    rows_RX = torch.stack(ranks)
    counts_R1, means_RC, squares_RC = torch.split(rows_RX, [1, len(mean_C), len(mean_C)], dim=1)
    total = counts_R1.sum()
    weight = total.clamp(min=1)
    merged_C = (counts_R1 * means_RC).sum(0) / weight
    between_C = (counts_R1 * (means_RC - merged_C).square()).sum(0)
    return merged_C, (squares_RC.sum(0) + between_C) / weight, total


def sync_batch_norms(model: nn.Module) -> list[SyncedBatchNorm]:
    """The new batch norms, after replacing every batch norm in `model`; parameters and their names are kept."""
    replaced = []
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SyncedBatchNorm):
                synced = SyncedBatchNorm(child)
                setattr(parent, name, synced)
                replaced.append(synced)
    return replaced
