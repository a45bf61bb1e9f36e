"""How much each view of a sample moved its answer: Shapley values over views, and the answer without each view.

The backbones run once per picture; only fusion and head run for every subset of views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import torch

from obverse.data import Batch
from obverse.engines import TorchEngine

# 2^8 = 256 subsets; with more views only the answer without each view is computed.
MAX_EXACT = 8
EXACT = (
    "A view's points are what it adds to the probability of the explained class, averaged over the orders in which the "
    "views can be looked at (Shapley values)"
)
WITHOUT = "A view's points are what the probability of the explained class loses without the view"


@dataclass(frozen=True)
class ViewInfluence:
    """Influence of one view on one class's probability."""

    share: float | None
    """Shapley value: what the view adds to the probability, mean over the orders in which views may be seen. The sum
    over views is the probability minus `base`. None with more than 8 views."""

    alone: float
    """Probability of the class from this view alone."""

    without: float
    """Probability of the class without this view."""


@dataclass(frozen=True)
class Influence:
    """Influence of every view of one sample on the probability of one class."""

    probability: float
    """Probability of the class from all views."""

    base: float
    """Probability of the class from no view: all classes alike, or one half for a label of a set."""

    views: dict[str, ViewInfluence]
    """View that is present -> its influence."""

    @property
    def gains(self) -> dict[str, float]:
        """View that is present -> what it adds to the probability; with more than 8 views, what is lost without it."""
        return {
            name: self.probability - view.without if view.share is None else view.share
            for name, view in self.views.items()
        }

    @property
    def words(self) -> str:
        """The gains in points of per cent."""
        return ", ".join(f"{name} {_points(gain)}" for name, gain in self.gains.items()) + " points"

    def gain_words(self, view: str) -> str:
        """The gain by one view in points of per cent."""
        return f"{_points(self.gains[view])} points"


def influence_sentences(influences: Sequence[Influence]) -> Iterator[str]:
    """Yield how much each view moved the answers of several samples, in words; nothing without influences."""
    if not influences:
        return
    views = list(dict.fromkeys(name for each in influences for name in each.views))
    of_view = {view: [each.gains[view] for each in influences if view in each.gains] for view in views}
    means = ", ".join(f"{view} {_points(sum(gains) / len(gains))}" for view, gains in of_view.items())
    most = Counter(max(each.gains, key=lambda view: abs(each.gains[view])) for each in influences)
    leader, num = most.most_common(1)[0]
    yield (
        f"How much each view moved the probability of the answer, on average over these {len(influences)} samples: "
        f"{means} points. {leader} moved it most in {num} of them."
    )
    is_exact = all(view.share is not None for each in influences for view in each.views.values())
    yield (
        f"{EXACT if is_exact else WITHOUT}; below 0 it speaks against the class. Up to half of these samples are "
        "chosen because they are mistakes, so other samples may differ."
    )


def _points(gain: float) -> str:
    """The gain in points of per cent, with its sign."""
    points = round(100 * gain)
    return f"{points:+d}" if points else "0"


def view_influence(engine: TorchEngine, batch: Batch, views: tuple[str, ...], target: int) -> Influence | None:
    """Influence of the views on the probability of the class `target`, for one sample; None with a single view."""
    present = [view for view, is_here in enumerate(batch.present_BV[0].tolist()) if is_here]
    if len(present) < 2:
        return None
    sizes = range(1, len(present) + 1) if len(present) <= MAX_EXACT else (1, len(present) - 1, len(present))
    subsets = [frozenset(some) for size in sizes for some in combinations(present, size)]
    probabilities_MK = _probabilities(engine, batch, subsets)
    base = 0.5 if engine.forward.kind.is_set else 1 / probabilities_MK.shape[1]
    value = dict(zip(subsets, probabilities_MK[:, target].tolist(), strict=True)) | {frozenset(): base}
    whole, is_exact = frozenset(present), len(present) <= MAX_EXACT
    influences = {
        views[view]: ViewInfluence(
            _shapley(value, view, whole) if is_exact else None, value[frozenset([view])], value[whole - {view}]
        )
        for view in present
    }
    return Influence(value[whole], base, influences)


def _shapley(value: dict[frozenset[int], float], view: int, whole: frozenset[int]) -> float:
    """Mean gain from adding `view` to the subsets of the others, every size of subset with equal weight."""
    others = sorted(whole - {view})
    return sum(
        (value[frozenset(some) | {view}] - value[frozenset(some)]) / (len(whole) * comb(len(others), size))
        for size in range(len(whole))
        for some in combinations(others, size)
    )


@torch.no_grad()
def _probabilities(engine: TorchEngine, batch: Batch, subsets: list[frozenset[int]]) -> torch.Tensor:
    """Class probabilities (M, K) of one sample when only the views of each subset are present."""
    model, forward = engine.model, engine.forward
    batch = batch.to(forward.device)
    present_MV = torch.zeros(len(subsets), batch.present_BV.shape[1], dtype=torch.bool, device=forward.device)
    for row, subset in enumerate(subsets):
        present_MV[row, sorted(subset)] = True
    columns_ME = None if batch.columns_BE is None else batch.columns_BE.expand(len(subsets), -1)
    with forward.autocast():
        features_BVD = model.features(forward.inputs(batch))
        fused_MD = model.fuse(features_BVD.expand(len(subsets), -1, -1), present_MV, columns_ME)
        class_logits_MK = forward.class_logits(model.head(fused_MD))
    return forward.kind.probabilities(class_logits_MK.double())
