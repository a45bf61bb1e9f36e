"""Application of a fitted rule: the prediction set of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from obverse.decisions.arrays import to_answers
from obverse.decisions.kinds import Kind
from obverse.recipe import SetsSpec

from .scores import class_scores

# Rows that are scored at a time, which limits memory.
ROWS = 4096


def sets_of(probabilities_NK: npt.NDArray[np.floating[Any]], kind: Kind, rule: SetsSpec) -> npt.NDArray[np.bool_]:
    """Which classes are in the prediction set of each sample (N, K). The answer always is."""
    limits_K = np.array([np.inf if limit is None else limit for limit in rule.quantile])
    sets_NK = np.zeros(probabilities_NK.shape, np.bool_)
    for start in range(0, len(sets_NK), ROWS):
        rows_NK = probabilities_NK[start : start + ROWS]
        answers = to_answers(rows_NK, kind)
        within_NK = class_scores(rows_NK, answers, rule) <= limits_K
        sets_NK[start : start + ROWS] = within_NK | answers if kind.is_set else within_NK
    return sets_NK


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
