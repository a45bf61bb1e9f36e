"""The classifier: backbone(s) -> features -> fusion -> head -> logits, for any number of views."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Self

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from obverse.runtime import fast_attention

from .columns import ColumnEncoder
from .present import PresentViews


def feature_size(backbone: nn.Module) -> int:
    """Number of features of a backbone. Some of timm's have a last layer after their `num_features` channels."""
    return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)  # type: ignore[arg-type]


class Classifier(nn.Module):
    """Classifier of samples with any number of views.

    backbones: one shared by all views, or one per view in view order.
    view_heads: heads that classify each view by itself, shared as the backbones are; empty for none.
    columns: encoder of extra columns, whose features are concatenated to the fused ones.
    """

    def __init__(
        self,
        backbones: list[nn.Module],
        fusion: nn.Module,
        head: nn.Module,
        *,
        view_heads: Sequence[nn.Module] = (),
        columns: ColumnEncoder | None = None,
    ) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(backbones)
        self.fusion = fusion
        self.head = head
        self.view_heads = nn.ModuleList(view_heads)
        self.columns = columns
        self._present = PresentViews()

    def forward(
        self,
        images_BVCHW: torch.Tensor,
        present_BV: torch.Tensor,
        columns_BE: torch.Tensor | None = None,
        *,
        each_view: bool = False,
    ) -> torch.Tensor:
        """Logits (B, K); with `each_view` (B, 1 + V, K): of the sample, then of each view's own head."""
        return self.answer(self.features(images_BVCHW, present_BV), present_BV, columns_BE, each_view=each_view)

    def answer(
        self,
        features_BVD: torch.Tensor,
        present_BV: torch.Tensor,
        columns_BE: torch.Tensor | None = None,
        *,
        each_view: bool = False,
    ) -> torch.Tensor:
        """Logits as of `forward`, from the backbones' features (B, V, D)."""
        logits_BK: torch.Tensor = self.head(self.fuse(features_BVD, present_BV, columns_BE))
        if not each_view:
            return logits_BK
        return torch.cat([logits_BK.unsqueeze(1), self.grade_views(features_BVD)], dim=1)

    def embed(
        self, images_BVCHW: torch.Tensor, present_BV: torch.Tensor, columns_BE: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Fused features (B, D): the sample's embedding."""
        return self.fuse(self.features(images_BVCHW, present_BV), present_BV, columns_BE)

    def fuse(
        self, features_BVD: torch.Tensor, present_BV: torch.Tensor, columns_BE: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Fused features (B, D) of all views and the extra columns. columns_BE: None means that all are missing."""
        fused_BD: torch.Tensor = self.fusion(features_BVD, present_BV)
        if self.columns is None:
            return fused_BD
        if columns_BE is None:
            columns_BE = self.columns.missing_codes.expand(len(fused_BD), -1)
        return torch.cat([fused_BD, self.columns(columns_BE).to(fused_BD.dtype)], dim=1)

    def grade_views(self, features_BVD: torch.Tensor) -> torch.Tensor:
        """Logits of every view's own head (B, V, K), whether the view is present or not."""
        batch, views = features_BVD.shape[:2]
        if len(self.view_heads) == 1:
            logits: torch.Tensor = self.view_heads[0](features_BVD.flatten(0, 1))
            return logits.view(batch, views, -1)
        return torch.stack([head(features_BVD[:, v]) for v, head in enumerate(self.view_heads)], dim=1)

    @property
    def grades_views(self) -> bool:
        """Whether views have heads of their own."""
        return len(self.view_heads) > 0

    def features(self, images_BVCHW: torch.Tensor, present_BV: torch.Tensor | None = None) -> torch.Tensor:
        """Features of every view (B, V, D); in training zeros for views that are not in `present_BV`."""
        with fast_attention() if self.training else nullcontext():
            return self._features(images_BVCHW, present_BV)

    def _features(self, images_BVCHW: torch.Tensor, present_BV: torch.Tensor | None) -> torch.Tensor:
        batch, views = images_BVCHW.shape[:2]
        self._present.release()
        if self.training and views > 1 and present_BV is not None and not is_full(present_BV):
            return self._features_of_present(images_BVCHW, present_BV)
        if len(self.backbones) == 1:
            features: torch.Tensor = self.backbones[0](images_BVCHW.flatten(0, 1))
            return features.view(batch, views, -1)
        return torch.stack([net(images_BVCHW[:, v]) for v, net in enumerate(self.backbones)], dim=1)

    def _features_of_present(self, images_BVCHW: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        run = self._present.features
        if len(self.backbones) == 1:
            features_ND: torch.Tensor = run(self.backbones[0], images_BVCHW.flatten(0, 1), present_BV.flatten())
            return features_ND.view(*present_BV.shape, -1)
        parts = [run(net, images_BVCHW[:, v], present_BV[:, v]) for v, net in enumerate(self.backbones)]
        return torch.stack(parts, dim=1)

    @property
    def encoders(self) -> list[nn.ModuleList]:
        """The backbones of each member of an ensemble; one list for a single model."""
        members = getattr(self.backbones[0], "members", None)
        return [self.backbones] if members is None else list(members)

    def train(self, mode: bool = True) -> Self:
        """Training mode, except for frozen parts: their batch norm keeps its statistics and their dropout is off."""
        super().train(mode)
        self._present.forget()
        for module in self.modules() if mode else ():
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
        return self

    def num_parameters(self) -> int:
        """Parameters, whether they train or not."""
        return sum(parameter.numel() for parameter in self.parameters())

    def num_trainable(self) -> int:
        """Parameters that train now."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


def is_full(present_BV: torch.Tensor) -> bool:
    """Whether every view is present; True for tensors without values (meta, fake), with which memory is planned."""
    return present_BV.is_meta or isinstance(present_BV, FakeTensor) or bool(present_BV.all())
