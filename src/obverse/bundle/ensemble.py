"""Ensemble: several classifiers joined into one whose probabilities are the mean of theirs.

The members are kept unchanged: their features are concatenated, and each member's fusion and head get its own slice. So
an ensemble is a classifier of the usual three stages (backbone, fusion, head), in one ordinary bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from obverse.decisions import class_logits, kind_of
from obverse.models import Classifier, ColumnEncoder, feature_size
from obverse.recipe import ModelSpec, OutputSpec


@dataclass(frozen=True)
class Member:
    """The per-member part of an ensemble's description."""

    model: ModelSpec
    """Backbone, fusion and head."""

    output: OutputSpec
    """Meaning of the head's outputs."""

    mean: tuple[float, ...]
    """Mean of each channel, for pixels from 0 to 1."""

    std: tuple[float, ...]
    """Standard deviation of each channel, for pixels from 0 to 1."""

    def to_values(self) -> dict[str, Any]:
        """The member as plain JSON values."""
        model, output = self.model.model_dump(mode="json"), self.output.model_dump(mode="json")
        return {"model": model, "output": output, "mean": self.mean, "std": self.std}


def join(
    classifiers: Sequence[Classifier],
    members: Sequence[Member],
    *,
    num_views: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Classifier:
    """A classifier whose probabilities are the mean of those of `classifiers`.

    members: descriptions of the classifiers, in their order. mean, std: normalisation of the joined classifier's input.
    """
    features = _Features(classifiers, members, num_views, mean, std)
    fusion = _Fusion([classifier.fusion for classifier in classifiers], features.sizes)
    encoders = [classifier.columns for classifier in classifiers if classifier.columns is not None]
    assert len(encoders) in (0, len(classifiers)), "all members see the same columns"
    columns = _Columns(encoders) if encoders else None
    heads = [classifier.head for classifier in classifiers]
    head = _Head(heads, fusion.sizes, columns.sizes if columns else [], [member.output for member in members])
    return Classifier([features], fusion, head, columns=columns)


class _Features(nn.Module):
    """Backbone that concatenates the features of all members (B * V, sum of D), each with its own normalisation."""

    def __init__(
        self,
        classifiers: Sequence[Classifier],
        members: Sequence[Member],
        num_views: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(classifier.backbones for classifier in classifiers)
        self.num_views = num_views
        self.sizes = [feature_size(classifier.backbones[0]) for classifier in classifiers]
        self.num_features = sum(self.sizes)
        self._same = [(member.mean, member.std) == (mean, std) for member in members]
        for number, member in enumerate(members):
            own_mean, own_std = torch.tensor(member.mean), torch.tensor(member.std)
            # (x * std + mean - own_mean) / own_std: from the joined normalisation to the member's own.
            scale, shift = torch.tensor(std) / own_std, (torch.tensor(mean) - own_mean) / own_std
            self.register_buffer(f"scale{number}", scale.view(3, 1, 1), persistent=False)
            self.register_buffer(f"shift{number}", shift.view(3, 1, 1), persistent=False)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        parts = []
        for number, backbones in enumerate(self.members):
            own_NCHW = images_NCHW
            if not self._same[number]:
                own_NCHW = images_NCHW * self.get_buffer(f"scale{number}") + self.get_buffer(f"shift{number}")
            parts.append(self._member(backbones, own_NCHW))  # type: ignore[arg-type]
        return torch.cat(parts, dim=-1)

    def _member(self, backbones: nn.ModuleList, images_NCHW: torch.Tensor) -> torch.Tensor:
        if len(backbones) == 1:
            features: torch.Tensor = backbones[0](images_NCHW)
            return features
        images_BVCHW = images_NCHW.unflatten(0, (-1, self.num_views))  # type: ignore[no-untyped-call]
        parts = [backbone(images_BVCHW[:, view]) for view, backbone in enumerate(backbones)]
        return torch.stack(parts, dim=1).flatten(0, 1)


class _Fusion(nn.Module):
    """Fusion that concatenates the fused features of all members (B, sum of D), each from its own features."""

    def __init__(self, fusions: Sequence[nn.Module], feature_sizes: Sequence[int]) -> None:
        super().__init__()
        self.members = nn.ModuleList(fusions)
        self.feature_sizes = list(feature_sizes)
        self.sizes = [int(fusion.num_features) for fusion in fusions]  # type: ignore[arg-type]
        self.num_features = sum(self.sizes)

    def forward(self, features_BVD: torch.Tensor, present_BV: torch.Tensor) -> torch.Tensor:
        parts = torch.split(features_BVD, self.feature_sizes, dim=-1)
        fused = [fusion(part, present_BV) for fusion, part in zip(self.members, parts, strict=True)]
        return torch.cat(fused, dim=-1)


class _Columns(ColumnEncoder):
    """Column encoder that concatenates the encodings of all members."""

    def __init__(self, encoders: Sequence[ColumnEncoder]) -> None:
        nn.Module.__init__(self)
        self.members = nn.ModuleList(encoders)
        self.sizes = [encoder.num_features for encoder in encoders]
        self.num_features = sum(self.sizes)
        self.register_buffer("missing_codes", encoders[0].missing_codes.clone(), persistent=False)

    def forward(self, codes_BE: torch.Tensor) -> torch.Tensor:
        return torch.cat([encoder(codes_BE) for encoder in self.members], dim=1)


class _Head(nn.Module):
    """Head that returns class logits (B, K) of the mean probability, in fp32."""

    def __init__(
        self,
        heads: Sequence[nn.Module],
        fused_sizes: Sequence[int],
        column_sizes: Sequence[int],
        outputs: Sequence[OutputSpec],
    ) -> None:
        super().__init__()
        self.members, self.outputs = nn.ModuleList(heads), list(outputs)
        self.kind = kind_of(outputs[0])
        self.sizes, self.num_columns = [*fused_sizes, *column_sizes], len(column_sizes)

    def forward(self, embeddings_BD: torch.Tensor) -> torch.Tensor:
        parts = list(torch.split(embeddings_BD, self.sizes, dim=-1))
        if self.num_columns:
            fused, columns = parts[: self.num_columns], parts[self.num_columns :]
            parts = [torch.cat(pair, dim=-1) for pair in zip(fused, columns, strict=True)]
        members = [
            class_logits(head(part), output)
            for head, part, output in zip(self.members, parts, self.outputs, strict=True)
        ]
        return self.kind.mean_logits(members)
