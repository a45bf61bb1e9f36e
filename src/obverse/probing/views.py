"""Ways to use several views: each alone, all together, and the average of the heads of single views."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import torch

from obverse.recipe import DataSpec

from .features import Features
from .heads import Head
from .validation import Folds, out_of_fold

WHOLE = "one"
"""Name of the views of data with a single one."""

TOGETHER, AVERAGED = "together", "averaged"


def as_trained(use: str, spec: DataSpec, views: Sequence[str]) -> tuple[str, ...]:
    """Options of `obverse train` for a use of the views.

    Empty for a single part of a picture, because training takes all parts.
    """
    if use == AVERAGED:
        return ("--set", "model.fusion.kind=average")
    if len(views) == 1 or use not in views or are_parts(spec):
        return ()
    # Quotes keep YAML from reading a number or a truth value in a name.
    is_plain = use.isidentifier() and use.lower() not in ("true", "false", "null")
    name = use if is_plain else json.dumps(use, ensure_ascii=False)
    return ("--set", f"data.views=[{name}]")


def are_parts(spec: DataSpec) -> bool:
    """Whether the views are parts of one picture."""
    return spec.tiles is not None or spec.layout == "split-horizontal"


class ViewFolds:
    """One division into folds, with the features of every use of the views."""

    def __init__(
        self, features: Features, targets_NK: torch.Tensor, folds_N: torch.Tensor, views: Sequence[str]
    ) -> None:
        self.targets_NK, self.views = targets_NK, views
        self.present_NV = features.present_NV
        features_NVD = features.features_NVD.double()
        self._single = [
            Folds(features_NVD[here_N, v], targets_NK[here_N], folds_N[here_N])
            for v, here_N in enumerate(self.present_NV.unbind(1))
        ]
        self._together = Folds(filled(features_NVD, self.present_NV).flatten(1), targets_NK, folds_N)

    def probabilities(self, head: Head, *, ordered: bool, is_set: bool) -> Iterator[tuple[str, torch.Tensor]]:
        """Uses of the views with out-of-fold probabilities (N, K).

        A sample without a view that is used alone is answered by the class frequencies.
        """
        if len(self.views) == 1:
            yield WHOLE, out_of_fold(head, self._single[0], ordered=ordered, is_set=is_set)
            return
        yield TOGETHER, out_of_fold(head, self._together, ordered=ordered, is_set=is_set)
        frequencies_K = self.targets_NK.mean(0)
        alone_VNK = frequencies_K.repeat(len(self.views), len(self.targets_NK), 1)
        for v, folds in enumerate(self._single):
            alone_VNK[v, self.present_NV[:, v]] = out_of_fold(head, folds, ordered=ordered, is_set=is_set)
        weights_VN1 = self.present_NV.T[:, :, None].double()
        yield AVERAGED, (alone_VNK * weights_VN1).sum(0) / weights_VN1.sum(0)
        yield from zip(self.views, alone_VNK, strict=True)


def filled(features_NVD: torch.Tensor, present_NV: torch.Tensor) -> torch.Tensor:
    """The features with the mean of a view, which needs no label, where it is missing."""
    weights_NV1 = present_NV[:, :, None].double()
    means_VD = (features_NVD * weights_NV1).sum(0) / weights_NV1.sum(0).clamp(min=1)
    return torch.where(present_NV[:, :, None], features_NVD, means_VD)
