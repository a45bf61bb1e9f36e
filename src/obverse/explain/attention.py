"""Maps of transformers from their attention: of the last layer, through all layers, and weighted by gradients.

Attention rollout (Abnar & Zuidema 2020) multiplies attention through all layers, with a weight of one half for the
token itself, which stands for the residual connection. Gradient rollout (Chefer, Gur & Wolf 2021, for self-attention)
keeps of each weight what speaks for one class; the other two maps are not of a class.
"""

from __future__ import annotations

import torch

from .layers import mean_relevance
from .methods import ATTENTION, ROLLOUT
from .watch import Seen


def attention_maps(seen: Seen, *, has_class_token: bool | None = None) -> dict[str, torch.Tensor] | None:
    """The maps `attention` and `rollout`, (B, h, w) on the token grid; None when the backbone has no such attention.

    Without a class token (mean or sequence pooling) the row is the mean over all tokens.
    """
    if seen.num_prefix is None:
        return None
    start_BN = _start(seen, has_class_token)
    attention_BN, rollout_BN = _through(start_BN, seen.attention_BNN[-1]), start_BN
    for layer_BNN in reversed(seen.attention_BNN):
        rollout_BN = (rollout_BN + _through(rollout_BN, layer_BNN)) / 2
    return {ATTENTION: seen.on_grid(attention_BN), ROLLOUT: seen.on_grid(rollout_BN)}


def gradient_rollouts(
    calls: list[Seen], score: torch.Tensor, *, has_class_token: bool | None = None
) -> list[torch.Tensor] | None:
    """Gradient rollout (B, h, w), one per call, for `score`, a sum of one value per sample; None if there is none."""
    outputs = [layer.output for seen in calls for layer in seen.layers]
    if any(seen.num_prefix is None for seen in calls) or not all(output.requires_grad for output in outputs):
        return None
    # The graph is kept, because the members of an ensemble compute their gradients one after the other.
    gradients = iter(torch.autograd.grad(score, outputs, allow_unused=True, retain_graph=True))
    maps = []
    for seen in calls:
        pairs = [(layer, next(gradients)) for layer in seen.layers]
        start_BN = row_BN = _start(seen, has_class_token)
        for layer, gradient in reversed(pairs):
            if gradient is not None:
                row_BN = row_BN + _through(row_BN, mean_relevance(layer, gradient))
        # Without the tokens' relevance for themselves, which is the same for every picture.
        maps.append(seen.on_grid(row_BN - start_BN))
    return maps


def _start(seen: Seen, has_class_token: bool | None) -> torch.Tensor:
    """Weights of the tokens that the features are pooled from, with sum one."""
    like_BN = seen.attention_BNN[-1][:, 0]
    if not seen.num_prefix or has_class_token is False:
        return torch.full_like(like_BN, 1 / like_BN.shape[1])
    start_BN = torch.zeros_like(like_BN)
    start_BN[:, 0] = 1
    return start_BN


def _through(row_BN: torch.Tensor, layer_BNN: torch.Tensor) -> torch.Tensor:
    return torch.bmm(row_BN[:, None], layer_BNN)[:, 0]
