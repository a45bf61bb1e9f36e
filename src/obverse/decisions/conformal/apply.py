"""Application of a fitted rule: the prediction set of each sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from obverse.decisions.blocks import in_blocks
from obverse.decisions.kinds import Kind
from obverse.recipe import SetsSpec

from .scores import class_scores


def prediction_sets(
    probabilities_NK: torch.Tensor, answers: torch.Tensor, rule: SetsSpec, *, slack: float = 0.0
) -> torch.Tensor:
    """Which classes are in the prediction set of each sample (N, K). The answer always is.

    answers: class indices (N) or label sets (N, K). slack: what is added to the rule's limits.
    """
    within_NK = within_limits(class_scores(probabilities_NK, answers, rule), rule, slack=slack)
    return within_NK | answers if rule.kind == "labels" else within_NK


def within_limits(scores_NK: torch.Tensor, rule: SetsSpec, *, slack: float = 0.0) -> torch.Tensor:
    """Which classes have a score that the rule lets into a set (N, K). slack: see `prediction_sets`."""
    limits = [math.inf if limit is None else limit + slack for limit in rule.quantile]
    return scores_NK <= torch.tensor(limits, dtype=scores_NK.dtype, device=scores_NK.device)


def sets_of(probabilities_NK: npt.NDArray[np.floating[Any]], kind: Kind, rule: SetsSpec) -> npt.NDArray[np.bool_]:
    """The prediction sets (N, K) of probabilities, in double precision."""
    sets_NK: npt.NDArray[np.bool_] = _in_blocks(prediction_sets, probabilities_NK, kind, rule)
    return sets_NK


def scores_of(probabilities_NK: npt.NDArray[np.floating[Any]], kind: Kind, rule: SetsSpec) -> npt.NDArray[np.float64]:
    """The scores (N, K) of the classes, in double precision."""
    scores_NK: npt.NDArray[np.float64] = _in_blocks(class_scores, probabilities_NK, kind, rule)
    return scores_NK


def _in_blocks(
    compute: Callable[[torch.Tensor, torch.Tensor, SetsSpec], torch.Tensor],
    probabilities_NK: npt.NDArray[np.floating[Any]],
    kind: Kind,
    rule: SetsSpec,
) -> npt.NDArray[Any]:
    """What is computed (N, K) from probabilities and their answers, block by block."""
    num_rows, num_classes = probabilities_NK.shape

    def of(rows: slice) -> torch.Tensor:
        exact_NK = torch.tensor(probabilities_NK[rows], dtype=torch.float64)
        return compute(exact_NK, kind.decide(exact_NK), rule)

    return in_blocks(of, num_rows, num_classes**2 if rule.kind == "range" else num_classes).numpy()


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """Prediction sets of a split, with the rules that gave them."""

    within_NK: npt.NDArray[np.bool_]
    """Which classes are in the set of each sample (N, K)."""

    rules: tuple[SetsSpec, ...]
    """One rule, or for pooled predictions the rule of each fold."""

    def take(self, rows: npt.NDArray[Any]) -> PredictionSets:
        """The sets of some rows. rows: a boolean mask or row numbers."""
        return PredictionSets(self.within_NK[rows], self.rules)

    @classmethod
    def joined(cls, parts: Sequence[Self | None]) -> Self | None:
        """The sets of all parts, one after the other; None where a part has none."""
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        rules = tuple(rule for part in known for rule in part.rules)
        return cls(np.concatenate([part.within_NK for part in known]), rules)
