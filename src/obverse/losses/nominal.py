"""Losses for unordered classes: cross entropy, and its variants for hard examples and long-tailed data.

Each function returns losses_BK: the loss of each sample if its label were k.
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
    """Cross entropy (B, K): -log p_k."""
    return -logits_BK.log_softmax(1)


def focal(logits_BK: torch.Tensor, gamma: float) -> torch.Tensor:
    """Focal loss (B, K): -(1 - p_k)^gamma log p_k (Lin et al. 2017, over a softmax). Easy samples count less."""
    log_p_BK = logits_BK.log_softmax(1)
    # -expm1(log p) instead of 1 - p is exact for p near 1; the clamp keeps the gradient finite there.
    return -((-torch.expm1(log_p_BK)).clamp(min=torch.finfo(torch.float32).tiny) ** gamma) * log_p_BK


def logit_adjusted(logits_BK: torch.Tensor, log_prior_K: torch.Tensor) -> torch.Tensor:
    """Logit-adjusted cross entropy (B, K): cross entropy of logits + log_prior (Menon et al. 2021).

    Let pi be the class frequencies of the training set. By Bayes' rule p_train(y|x) ~ p(x|y) pi_y. Training fits
    softmax(f(x) + log pi) to p_train(y|x), so f_y(x) = log p(x|y) + const: the network's logits f do not depend on the
    frequencies. They are the log posterior if all classes are equally frequent. For class frequencies q the log
    posterior is f(x) + log q; log q is the deployment prior, added at prediction (decisions/logits.py).

    Tau scales log pi in training only. A tau above 1 favours rare classes beyond Bayes' rule. Balanced softmax (Ren et
    al. 2020: p_y ~ n_y exp f_y) is the case tau = 1.
    """
    return cross_entropy(logits_BK + log_prior_K)


def ldam(logits_BK: torch.Tensor, margins_K: torch.Tensor) -> torch.Tensor:
    """Loss with label-distribution-aware margins (B, K), on the scaled logits of a cosine head (Cao et al. 2019).

    The logit of label k is lowered by its margin: softplus(log sum_{j != k} exp z_j - z_k + margin_k).
    """
    return functional.softplus(_logsumexp_of_others(logits_BK) - logits_BK + COSINE_SCALE * margins_K)


def ldam_margins(counts: Sequence[int], max_margin: float) -> torch.Tensor:
    """Margin of each class (K), proportional to n^(-1/4), so that the rarest has `max_margin` (Cao et al. 2019)."""
    roots_K = torch.tensor(counts, dtype=torch.float64).clamp(min=1) ** -0.25
    return (max_margin * roots_K / roots_K.max()).float()


def log_shares(counts: Sequence[float]) -> torch.Tensor:
    """Logarithm of each class's share of the samples (K); a class without samples counts as having one."""
    counts_K = torch.tensor(counts, dtype=torch.float64)
    counts_K = torch.where(counts_K > 0, counts_K, 1.0)
    return (counts_K / counts_K.sum()).log().float()


def _logsumexp_of_others(logits_BK: torch.Tensor) -> torch.Tensor:
    """log sum_{j != k} exp z_j for every k (B, K).

    It is computed by subtracting exp z_k from the whole sum. For the largest logit that would cancel, so the others are
    summed separately.
    """
    top_B1, place_B1 = logits_BK.max(1, keepdim=True)
    terms_BK = (logits_BK - top_B1).exp()
    is_top_BK = torch.zeros_like(logits_BK, dtype=torch.bool).scatter(1, place_B1, True)
    rest_BK = terms_BK.sum(1, keepdim=True) - torch.where(is_top_BK, 0.0, terms_BK)
    without_top_B1 = logits_BK.masked_fill(is_top_BK, float("-inf")).logsumexp(1, keepdim=True)
    return torch.where(is_top_BK, without_top_B1, top_B1 + rest_BK.log())
