"""Attention maps of vision transformers: the class token's attention in the last layer, and attention rollout.

Rollout (Abnar & Zuidema 2020) multiplies attention through all layers, with a weight of one half for the token itself,
which stands for the residual connection. Neither map is class-specific; Grad-CAM is, for convolutional networks.
"""

from __future__ import annotations

import torch

from .watch import Seen


def attention_maps(seen: Seen, *, has_class_token: bool | None = None) -> dict[str, torch.Tensor] | None:
    """The maps `attention` and `rollout`, (B, h, w) on the token grid; None when the backbone has no such attention.

    Without a class token (mean or sequence pooling) the row is the mean over all tokens.
    """
    prefix = seen.num_prefix
    if prefix is None or seen.grid is None:
        return None
    use_first = prefix > 0 if has_class_token is None else has_class_token and prefix > 0
    rows_BN = {"attention": _start(seen, use_first), "rollout": _start(seen, use_first)}
    rows_BN["attention"] = _through(rows_BN["attention"], seen.attention_BNN[-1])
    for layer_BNN in reversed(seen.attention_BNN):
        rows_BN["rollout"] = (rows_BN["rollout"] + _through(rows_BN["rollout"], layer_BNN)) / 2
    return {name: row_BN[:, prefix:].reshape(-1, *seen.grid) for name, row_BN in rows_BN.items()}


def _start(seen: Seen, use_first: bool) -> torch.Tensor:
    """Weights of the tokens that the features are pooled from, with sum one."""
    like_BN = seen.attention_BNN[-1][:, 0]
    if not use_first:
        return torch.full_like(like_BN, 1 / like_BN.shape[1])
    start_BN = torch.zeros_like(like_BN)
    start_BN[:, 0] = 1
    return start_BN


def _through(row_BN: torch.Tensor, layer_BNN: torch.Tensor) -> torch.Tensor:
    return torch.bmm(row_BN[:, None], layer_BNN)[:, 0]
