"""A backbone in training sees the views that exist: a grey stand-in would be part of batch norm's statistics.

Outside training nothing depends on the other rows of a batch, so there every view runs and the fusion ignores what is
missing: shapes stay those of the batch, which is what can be exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from obverse.models.adapt.synced_norm import SyncedBatchNorm


class PresentViews:
    """Runs a backbone on some rows of a batch, and holds its batch norms where too few rows are left for statistics.

    What is held stays so until `release`: with checkpointing a layer is computed again in the backward pass, and must
    do the same then.
    """

    def __init__(self) -> None:
        self._held: list[_BatchNorm] = []

    # How many rows there are changes from batch to batch, and each number would be a graph of its own.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def features(self, backbone: nn.Module, images_NCHW: torch.Tensor, is_present_N: torch.Tensor) -> torch.Tensor:
        """(N, D), zeros where nothing is.

        Without any row the first stand-in runs, for nothing: all ranks must call each other, and every weight must have
        a gradient, which is zero then.
        """
        rows_M = is_present_N.nonzero().squeeze(1)
        num_rows = len(rows_M)
        kept_M = rows_M if num_rows else rows_M.new_zeros(1)
        with self._holding(backbone, num_rows):
            features_MD: torch.Tensor = backbone(_like(images_NCHW, images_NCHW.index_select(0, kept_M)))
        if not num_rows:
            features_MD = features_MD * 0
        return features_MD.new_zeros(len(images_NCHW), features_MD.shape[1]).index_copy(0, kept_M, features_MD)

    def release(self) -> None:
        """Let the norms learn again."""
        for norm in self._held:
            norm.train()
        self.forget()

    def forget(self) -> None:
        """The caller has set every mode itself."""
        self._held = []

    @contextmanager
    def _holding(self, backbone: nn.Module, num_rows: int) -> Iterator[None]:
        """Norms use their running statistics for a stand-in, and for a single row with one number per channel."""
        # Ranks share their statistics, and all of them have to take part.
        norms = [] if num_rows > 1 else [norm for norm in backbone.modules() if _is_alone(norm)]

        def hold(norm: nn.Module, inputs: Any) -> None:
            if norm.training and (num_rows == 0 or inputs[0][0, 0].numel() == 1):
                self._held.append(norm.eval())  # type: ignore[arg-type]

        hooks = [norm.register_forward_pre_hook(hold) for norm in norms]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def rows_of(per_sample_B: torch.Tensor, present_BV: torch.Tensor, *, num_backbones: int) -> list[torch.Tensor]:
    """For each backbone what holds for the samples of its rows, where the rows are those of a training step."""
    num_views = present_BV.shape[1]
    if num_views == 1:
        return [per_sample_B]
    if num_backbones == 1:
        return [per_sample_B.repeat_interleave(num_views)[present_BV.flatten()]]
    per_view = [per_sample_B[present_V] for present_V in present_BV.unbind(1)]
    return [rows if len(rows) else per_sample_B.new_zeros(1) for rows in per_view]


def _is_alone(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and not isinstance(module, SyncedBatchNorm)


def _like(images_NCHW: torch.Tensor, rows_MCHW: torch.Tensor) -> torch.Tensor:
    """The rows in the memory format of the batch, in which the model is fastest."""
    if images_NCHW.is_contiguous():
        return rows_MCHW
    return rows_MCHW.contiguous(memory_format=torch.channels_last)
