"""Out-of-fold probabilities of a head, with its option chosen inside the training folds (nested cross-validation).

For the option of a fold, every other fold is predicted by a head that was fitted without both. A pair of folds serves
both of them, so that F folds need F (F - 1) / 2 fits for all options, and F more for the chosen ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch

from .heads import Head, Known

FLOOR = 0.01
"""Share of the uniform distribution that is mixed in before the logarithm: neighbours may give a probability of 0."""


class Folds:
    """Features and targets divided into folds. Known samples are prepared once for all heads."""

    def __init__(self, features_ND: torch.Tensor, targets_NK: torch.Tensor, folds_N: torch.Tensor) -> None:
        self.features_ND, self.targets_NK, self.folds_N = features_ND.double(), targets_NK.double(), folds_N
        self.num = int(folds_N.max()) + 1
        self._known: dict[tuple[int, ...], Known] = {}

    def without(self, *folds: int) -> Known:
        """The samples of all other folds."""
        if folds not in self._known:
            is_known_N = ~self.is_in(*folds)
            self._known[folds] = Known.of(self.features_ND[is_known_N], self.targets_NK[is_known_N])
        return self._known[folds]

    def is_in(self, *folds: int) -> torch.Tensor:
        """Whether each sample is in one of these folds (N)."""
        return torch.isin(self.folds_N, torch.tensor(folds))


def out_of_fold(head: Head, folds: Folds, *, ordered: bool, is_set: bool) -> torch.Tensor:
    """Probabilities (N, K) of every sample, from a head that was fitted and tuned without its fold."""
    options = best_options(head, folds, ordered=ordered, is_set=is_set)
    probabilities_NK = torch.zeros_like(folds.targets_NK)
    for fold, option in enumerate(options):
        held_N = folds.is_in(fold)
        probabilities_NK[held_N] = head.fit(folds.without(fold), folds.features_ND[held_N], [option])[0]
    return probabilities_NK


def best_options(head: Head, folds: Folds, *, ordered: bool, is_set: bool) -> Sequence[float]:
    """The option for each fold, by the predictions of the other folds. Ties go to the first, most cautious one."""
    if len(head.options) == 1 or folds.num < 3:
        return [head.options[len(head.options) // 2]] * folds.num
    costs_FO = torch.zeros(folds.num, len(head.options), dtype=torch.float64)
    for pair in combinations(range(folds.num), 2):
        held_N = folds.is_in(*pair)
        probabilities_OMK = head.fit(folds.without(*pair), folds.features_ND[held_N], head.options)
        costs_OM = proper_score(probabilities_OMK, folds.targets_NK[held_N], ordered=ordered, is_set=is_set)
        for fold, other in (pair, pair[::-1]):
            costs_FO[fold] += costs_OM[:, folds.folds_N[held_N] == other].sum(1)
    return [head.options[int(place)] for place in costs_FO.argmin(1)]


def proper_score(
    probabilities_OMK: torch.Tensor, targets_MK: torch.Tensor, *, ordered: bool, is_set: bool
) -> torch.Tensor:
    """Cost (O, M) of each sample, lowest in expectation for the true probabilities.

    Ordered classes: the ranked probability score (Epstein 1969), to which a neighbouring class is a smaller error.
    Others: cross entropy.
    """
    if ordered:
        return (probabilities_OMK - targets_MK).cumsum(2).square().sum(2)
    if is_set:
        mixed = (1 - FLOOR) * probabilities_OMK + FLOOR / 2
        return -(targets_MK * mixed.log() + (1 - targets_MK) * (1 - mixed).log()).sum(2)
    mixed = (1 - FLOOR) * probabilities_OMK + FLOOR / targets_MK.shape[1]
    return -(targets_MK * mixed.log()).sum(2)
