"""Score of one class, which the gradients of maps and the effect of covering are taken of."""

from __future__ import annotations

import torch

from obverse.decisions import Kind


def log_odds(class_logits_BK: torch.Tensor, target: int, kind: Kind) -> torch.Tensor:
    """Logarithm of p / (1 - p) for the class `target` (B).

    Unlike a probability it does not saturate, and unlike a logit it depends on what speaks for the other classes.
    """
    if kind.is_set or class_logits_BK.shape[1] == 1:
        return class_logits_BK[:, target]
    others = [k for k in range(class_logits_BK.shape[1]) if k != target]
    return class_logits_BK[:, target] - class_logits_BK[:, others].logsumexp(1)
