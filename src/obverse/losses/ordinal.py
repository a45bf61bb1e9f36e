"""Losses for ordered classes, with a distance of 1 between neighbours.

Each function returns losses_BK: the loss of each sample if its label were k. CORN and CORAL decompose the label into
K - 1 binary questions, "is the grade above j?". Their heads give one logit for each (decisions/logits.py converts these
to class logits).
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
    """SORD loss (B, K): cross entropy with the soft targets softmax_j(-|j - k|) (Diaz & Marathe 2019)."""
    return -logits_BK.log_softmax(1) @ sord_targets(logits_BK.shape[1]).to(logits_BK).T


def sord_targets(num_classes: int) -> torch.Tensor:
    """Soft targets (K, K) of SORD; row k is the target of label k."""
    places_K = torch.arange(num_classes, dtype=torch.float32)
    return (-(places_K - places_K[:, None]).abs()).softmax(1)


def squared_emd(logits_BK: torch.Tensor) -> torch.Tensor:
    """Squared earth mover's distance (B, K): sum_j (P(y <= j) - [k <= j])^2 (Hou et al. 2016).

    The loss of a mixed target is the mean over its labels, which differs from the distance to the mixture by a
    constant.
    """
    below_BJ = logits_BK.softmax(1).cumsum(1)
    steps_KJ = torch.ones_like(logits_BK[0]).diag().cumsum(1)
    # The square is expanded, to avoid a tensor of shape (B, K, K).
    return below_BJ.square().sum(1, keepdim=True) - 2 * below_BJ @ steps_KJ.T + steps_KJ.sum(1)


def corn(logits_BJ: torch.Tensor) -> torch.Tensor:
    """CORN loss (B, K): the conditional questions "above j, given at least j", for labels y >= j (Shi et al. 2021)."""
    yes_BJ, no_BJ = _costs(logits_BJ)
    num_classes = logits_BJ.shape[1] + 1
    above_KJ = _is_above(logits_BJ)
    stops_KJ = torch.eye(num_classes)[:, :-1].to(logits_BJ)
    return yes_BJ @ above_KJ.T + no_BJ @ stops_KJ.T


def corn_num_questions(num_classes: int) -> torch.Tensor:
    """Number of CORN's questions that apply to each label (K); its mean is over questions, not samples."""
    return torch.arange(1, num_classes + 1, dtype=torch.float32).clamp(max=num_classes - 1)


def coral(logits_BJ: torch.Tensor) -> torch.Tensor:
    """CORAL loss (B, K): all questions "above j" for every sample (Cao, Mirjalili & Raschka 2020)."""
    yes_BJ, no_BJ = _costs(logits_BJ)
    above_KJ = _is_above(logits_BJ)
    return yes_BJ @ above_KJ.T + no_BJ @ (1 - above_KJ).T


def _costs(logits_BJ: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary cross entropy (B, K - 1) of each question if the true answer is yes, and if it is no."""
    return -functional.logsigmoid(logits_BJ), -functional.logsigmoid(-logits_BJ)


def _is_above(logits_BJ: torch.Tensor) -> torch.Tensor:
    """Matrix (K, K - 1): 1 where label k is above j, else 0."""
    num_questions = logits_BJ.shape[1]
    return torch.ones(num_questions + 1, num_questions).tril(-1).to(logits_BJ)
