"""Losses of classes with an order; neighbours lie one step apart.

Each function gives losses_BK: what the sample costs if its label is k. CORN and CORAL look at K - 1 questions, "is the
grade above j?", and their heads give one number for each (decisions/logits.py turns them into class probabilities).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from obverse.recipe import ResolvedLoss

from .objective import LabelLosses


def build(spec: ResolvedLoss, counts: Sequence[int]) -> LabelLosses:
    """The loss of `spec`; none of them depends on `counts`."""
    losses: dict[str, LabelLosses] = {"sord": sord, "emd": squared_emd, "corn": corn, "coral": coral}
    return losses[spec.kind]


def sord(logits_BK: torch.Tensor) -> torch.Tensor:
    """Cross entropy with targets that spread to neighbours, softmax_j(-|j - k|) (Diaz & Marathe 2019)."""
    return -logits_BK.log_softmax(1) @ sord_targets(logits_BK.shape[1]).to(logits_BK).T


def sord_targets(num_classes: int) -> torch.Tensor:
    """Row k is the target of label k."""
    places_K = torch.arange(num_classes, dtype=torch.float32)
    return (-(places_K - places_K[:, None]).abs()).softmax(1)


def squared_emd(logits_BK: torch.Tensor) -> torch.Tensor:
    """Squared earth mover's distance: sum_j (P(y <= j) - [k <= j])^2 (Hou et al. 2016).

    Of a mixed target this is the mean over its labels; it differs from the distance to the mixture by a constant.
    """
    below_BJ = logits_BK.softmax(1).cumsum(1)
    steps_KJ = torch.ones_like(logits_BK[0]).diag().cumsum(1)
    # Expanded, so that nothing of shape (B, K, K) is made.
    return below_BJ.square().sum(1, keepdim=True) - 2 * below_BJ @ steps_KJ.T + steps_KJ.sum(1)


def corn(logits_BJ: torch.Tensor) -> torch.Tensor:
    """Conditional questions "above j, given at least j", asked of samples with y >= j (Shi et al. 2021)."""
    yes_BJ, no_BJ = _costs(logits_BJ)
    num_classes = logits_BJ.shape[1] + 1
    above_KJ = _is_above(logits_BJ)
    stops_KJ = torch.eye(num_classes)[:, :-1].to(logits_BJ)
    return yes_BJ @ above_KJ.T + no_BJ @ stops_KJ.T


def corn_num_questions(num_classes: int) -> torch.Tensor:
    """How many questions a sample of each label is asked; CORN's mean is over questions, not samples."""
    return torch.arange(1, num_classes + 1, dtype=torch.float32).clamp(max=num_classes - 1)


def coral(logits_BJ: torch.Tensor) -> torch.Tensor:
    """All questions "above j" of every sample (Cao, Mirjalili & Raschka 2020)."""
    yes_BJ, no_BJ = _costs(logits_BJ)
    above_KJ = _is_above(logits_BJ)
    return yes_BJ @ above_KJ.T + no_BJ @ (1 - above_KJ).T


def _costs(logits_BJ: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary cross entropy if the answer is yes, and if it is no."""
    return -functional.logsigmoid(logits_BJ), -functional.logsigmoid(-logits_BJ)


def _is_above(logits_BJ: torch.Tensor) -> torch.Tensor:
    """(K, K - 1): 1 where label k lies above j."""
    num_questions = logits_BJ.shape[1]
    return torch.ones(num_questions + 1, num_questions).tril(-1).to(logits_BJ)
