"""Losses of classes without an order: cross entropy and what was made of it for hard examples and long tails.

Each function gives losses_BK: what the sample costs if its label is k.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from obverse.recipe import COSINE_SCALE, ResolvedLoss

from .objective import LabelLosses


def build(spec: ResolvedLoss, counts: Sequence[int]) -> LabelLosses:
    """The loss of `spec`. counts: training samples of each class, in class order."""
    log_prior_K = spec.tau * log_shares(counts)
    margins_K = ldam_margins(counts, spec.max_margin)
    losses: dict[str, LabelLosses] = {
        "cross-entropy": cross_entropy,
        "focal": lambda z: focal(z, spec.gamma),
        "logit-adjustment": lambda z: logit_adjusted(z, log_prior_K.to(z.device)),
        "balanced-softmax": lambda z: logit_adjusted(z, log_prior_K.to(z.device)),
        "ldam": lambda z: ldam(z, margins_K.to(z.device)),
    }
    return losses[spec.kind]


def cross_entropy(logits_BK: torch.Tensor) -> torch.Tensor:
    """-log p_k."""
    return -logits_BK.log_softmax(1)


def focal(logits_BK: torch.Tensor, gamma: float) -> torch.Tensor:
    """-(1 - p_k)^gamma log p_k (Lin et al. 2017, over a softmax): easy samples count less."""
    log_p_BK = logits_BK.log_softmax(1)
    # -expm1 and not 1 - p: exact, with a finite slope, for p near 1.
    return -((-torch.expm1(log_p_BK)).clamp(min=torch.finfo(torch.float32).tiny) ** gamma) * log_p_BK


def logit_adjusted(logits_BK: torch.Tensor, log_prior_K: torch.Tensor) -> torch.Tensor:
    """Cross entropy of logits + log_prior (Menon et al. 2021).

    With pi the class frequencies of the training set, Bayes' rule says p_train(y|x) ~ p(x|y) pi_y. Training fits
    softmax(f(x) + log pi) to p_train(y|x), so f_y(x) = log p(x|y) + const: the frequencies are out of the network, and
    f alone is the log posterior where all classes are equally frequent. Where they have frequencies q, it is
    f(x) + log q: that is the deployment prior, added at prediction (decisions/logits.py). Tau scales log pi in training
    only; above 1 it favours rare classes beyond what Bayes' rule asks.

    Balanced softmax (Ren et al. 2020: p_y ~ n_y exp f_y) is this with tau 1, hence the same code.
    """
    return cross_entropy(logits_BK + log_prior_K)


def ldam(logits_BK: torch.Tensor, margins_K: torch.Tensor) -> torch.Tensor:
    """Label-distribution-aware margins (Cao et al. 2019), on the scaled logits of a cosine head.

    The loss of label k has k's logit lowered by its margin: softplus(log sum_{j != k} exp z_j - z_k + margin_k).
    """
    return functional.softplus(_logsumexp_of_others(logits_BK) - logits_BK + COSINE_SCALE * margins_K)


def ldam_margins(counts: Sequence[int], max_margin: float) -> torch.Tensor:
    """Proportional to n^(-1/4), the rarest class has `max_margin` (Cao et al. 2019)."""
    roots_K = torch.tensor(counts, dtype=torch.float64).clamp(min=1) ** -0.25
    return (max_margin * roots_K / roots_K.max()).float()


def log_shares(counts: Sequence[float]) -> torch.Tensor:
    """Logarithm of each class's share; a class without samples counts as if it had one."""
    counts_K = torch.tensor(counts, dtype=torch.float64)
    counts_K = torch.where(counts_K > 0, counts_K, 1.0)
    return (counts_K / counts_K.sum()).log().float()


def _logsumexp_of_others(logits_BK: torch.Tensor) -> torch.Tensor:
    """For every k, log sum_{j != k} exp z_j.

    Taking exp z_k off the whole sum is exact enough except for the largest, whose others are summed by themselves.
    """
    top_B1, place_B1 = logits_BK.max(1, keepdim=True)
    terms_BK = (logits_BK - top_B1).exp()
    is_top_BK = torch.zeros_like(logits_BK, dtype=torch.bool).scatter(1, place_B1, True)
    rest_BK = terms_BK.sum(1, keepdim=True) - torch.where(is_top_BK, 0.0, terms_BK)
    without_top_B1 = logits_BK.masked_fill(is_top_BK, float("-inf")).logsumexp(1, keepdim=True)
    return torch.where(is_top_BK, without_top_B1, top_B1 + rest_BK.log())
