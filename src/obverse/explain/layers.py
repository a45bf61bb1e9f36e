"""Attention layers of one call of a network: weights of each head, and the gradient of a score for them.

A gradient for the weights of a fused attention cannot be asked of autograd, which never sees them. It follows from the
gradient for the layer's output: for output = weights @ value it is that gradient @ value^T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

# Arguments of `scaled_dot_product_attention` that may be given by place.
SDPA_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


class AttentionLayer(Protocol):
    """Attention of one layer, head by head: at 1008x1008 the weights of a single head take 63 MB."""

    @property
    def output(self) -> torch.Tensor:
        """The tensor of the graph whose gradient `slopes` needs."""

    @property
    def num_heads(self) -> int:
        """Number of heads."""

    def weights(self, head: int) -> torch.Tensor:
        """Attention weights (B, N, N)."""

    def slopes(self, gradient: torch.Tensor, head: int) -> torch.Tensor:
        """Gradient (B, N, N) for the weights, from the gradient for `output`."""


@dataclass(frozen=True, eq=False)
class FusedAttention:
    """Call of torch's `scaled_dot_product_attention`."""

    query_BSND: torch.Tensor
    key_BSND: torch.Tensor
    value_BSND: torch.Tensor
    output: torch.Tensor
    mask: torch.Tensor | None
    scale: float

    @classmethod
    def of(cls, output: torch.Tensor, *args: Any, **options: Any) -> FusedAttention | None:
        """The record of a call with these arguments; None unless every token may see every other one."""
        given = dict(zip(SDPA_ARGUMENTS, args, strict=False)) | options
        query, key, scale = given["query"], given["key"], given.get("scale")
        if query.ndim != 4 or query.shape != key.shape or given.get("is_causal"):
            return None
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        return cls(query, key, given["value"], output, given.get("attn_mask"), factor)

    @property
    def num_heads(self) -> int:
        """Number of heads."""
        return self.query_BSND.shape[1]

    def weights(self, head: int) -> torch.Tensor:
        """Attention weights (B, N, N)."""
        query_BND, key_BND = (rows[:, head].detach().float() for rows in (self.query_BSND, self.key_BSND))
        return (query_BND @ key_BND.transpose(-2, -1) * self.scale + _bias(self.mask, head)).softmax(-1)

    def slopes(self, gradient: torch.Tensor, head: int) -> torch.Tensor:
        """Gradient (B, N, N) for the weights."""
        return gradient[:, head].float() @ self.value_BSND[:, head].detach().float().transpose(-2, -1)


@dataclass(frozen=True, eq=False)
class SoftmaxAttention:
    """Softmax over square scores, as in attention that is not fused."""

    output: torch.Tensor

    @property
    def num_heads(self) -> int:
        """Number of heads."""
        return self.output.shape[1]

    def weights(self, head: int) -> torch.Tensor:
        """Attention weights (B, N, N)."""
        return self.output[:, head].detach().float()

    def slopes(self, gradient: torch.Tensor, head: int) -> torch.Tensor:
        """Gradient (B, N, N) for the weights."""
        return gradient[:, head].float()


@dataclass(frozen=True, eq=False)
class MultiheadAttention:
    """Call of torch's `nn.MultiheadAttention`, with its weights computed a second time."""

    module: nn.MultiheadAttention

    tokens: torch.Tensor
    """Input of the values: (B, N, D), or (N, B, D) unless the module has its batches first."""

    output: torch.Tensor
    weights_BSNN: torch.Tensor

    @property
    def num_heads(self) -> int:
        """Number of heads."""
        return self.weights_BSNN.shape[1]

    def weights(self, head: int) -> torch.Tensor:
        """Attention weights (B, N, N)."""
        return self.weights_BSNN[:, head].float()

    def slopes(self, gradient: torch.Tensor, head: int) -> torch.Tensor:
        """Gradient (B, N, N) for the weights."""
        size = self.module.head_dim
        part = slice(head * size, (head + 1) * size)
        with torch.no_grad():
            rows = [(gradient @ self.module.out_proj.weight)[..., part], self._value()[..., part]]
            gradient_BND, value_BND = (
                row.float() if self.module.batch_first else row.float().transpose(0, 1) for row in rows
            )
            return gradient_BND @ value_BND.transpose(-2, -1)

    def _value(self) -> torch.Tensor:
        """Values of all heads, in the order of axes of `tokens`."""
        width, module = self.module.embed_dim, self.module
        weight, bias = module.v_proj_weight, module.in_proj_bias
        if weight is None:
            weight = module.in_proj_weight[2 * width :]
        return functional.linear(self.tokens, weight, None if bias is None else bias[2 * width :])


def mean_weights(layer: AttentionLayer) -> torch.Tensor:
    """Attention weights (B, N, N), mean over heads."""
    with torch.no_grad():
        total_BNN = layer.weights(0)
        for head in range(1, layer.num_heads):
            total_BNN = total_BNN + layer.weights(head)
        return total_BNN / layer.num_heads


def mean_relevance(layer: AttentionLayer, gradient: torch.Tensor) -> torch.Tensor:
    """Positive part of weights times their gradient (B, N, N), mean over heads (Chefer et al. 2021, equation 5)."""
    with torch.no_grad():
        parts = ((layer.weights(head) * layer.slopes(gradient, head)).relu() for head in range(layer.num_heads))
        total_BNN = next(parts)
        for part_BNN in parts:
            total_BNN = total_BNN + part_BNN
        return total_BNN / layer.num_heads


def _bias(mask: torch.Tensor | None, head: int) -> torch.Tensor | float:
    """The additive attention mask of one head."""
    if mask is None:
        return 0.0
    bias = mask
    if mask.dtype == torch.bool:
        bias = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, -torch.inf)
    if bias.ndim < 4:
        return bias.float()
    return bias[:, head % bias.shape[1]].float()
