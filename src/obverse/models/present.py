"""Backbones on present views only, in training, because placeholders of missing views would change batch norm.

Outside training no row depends on the others. There the backbone runs on every view and the fusion masks the missing
ones, so shapes are fixed and can be exported.
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
    """Runner of a backbone on some rows of a batch; it freezes batch norms if too few rows remain for statistics.

    Frozen norms stay frozen until `release`, because checkpointing computes layers again in the backward pass, which
    must give the same result.
    """

    def __init__(self) -> None:
        self._held: list[_BatchNorm] = []

    def features(self, backbone: nn.Module, images_NCHW: torch.Tensor, is_present_N: torch.Tensor) -> torch.Tensor:
        """Features (N, D), with zeros for absent rows.

        If no row is present, the backbone runs on the first placeholder and its features are multiplied by 0: all ranks
        must make the same collective calls, and every weight must have a gradient.
        """
        rows_M = is_present_N.nonzero().squeeze(1)
        num_rows = len(rows_M)
        kept_M = rows_M if num_rows else rows_M.new_zeros(1)
        with self._holding(backbone, num_rows):
            features_MD: torch.Tensor = backbone(_rows(images_NCHW, kept_M))
        if not num_rows:
            features_MD = features_MD * 0
        return features_MD.new_zeros(len(images_NCHW), features_MD.shape[1]).index_copy(0, kept_M, features_MD)

    def release(self) -> None:
        """Put frozen norms back into training mode."""
        for norm in self._held:
            norm.train()
        self.forget()

    def forget(self) -> None:
        """Forget the frozen norms, after the caller has set the mode of every module."""
        self._held = []

    @contextmanager
    def _holding(self, backbone: nn.Module, num_rows: int) -> Iterator[None]:
        """Freeze norms for a placeholder, and for a single row with one number per channel."""
        # Synchronised norms are left out, because all ranks must take part in their collective calls.
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
    """For each backbone, the values of `per_sample_B` for the rows that it sees in a training step."""
    num_views = present_BV.shape[1]
    if num_views == 1:
        return [per_sample_B]
    if num_backbones == 1:
        return [per_sample_B.repeat_interleave(num_views)[present_BV.flatten()]]
    per_view = [per_sample_B[present_V] for present_V in present_BV.unbind(1)]
    return [rows if len(rows) else per_sample_B.new_zeros(1) for rows in per_view]


def _is_alone(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and not isinstance(module, SyncedBatchNorm)


def _rows(images_NCHW: torch.Tensor, kept_M: torch.Tensor) -> torch.Tensor:
    """The rows (M, C, H, W) in the memory format of the batch, in which the model is fastest."""
    if images_NCHW.is_contiguous():
        return images_NCHW.index_select(0, kept_M)
    return images_NCHW.movedim(1, -1).index_select(0, kept_M).movedim(-1, 1)
