"""Attention in bf16 on a CPU, in blocks of batched matrix products.

torch's own kernel takes a third of a training step of ViT-Tiny and ViT-S in bf16 on a CPU; the same in batched products
takes a fifth to four fifths of the kernel's time (`benchmarks/attention.py`). As in the kernel, attention weights are
not kept for the backward pass, but computed again (Dao et al. 2022, arXiv:2205.14135).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Most attention weights at once: 2 MB in bf16, which stay in a core's cache.
BLOCK = 2**20
# Most attention weights of a head, which is never divided: 8 MB in bf16. With more, torch's kernel is faster.
MOST_OF_A_HEAD = 2**22


def fast_attention() -> AbstractContextManager[Any]:
    """Context of a forward pass, within which `blocked_attention` computes attention in bf16 on a CPU."""
    return _Blocking() if _is_bf16() and not torch.compiler.is_compiling() else nullcontext()


def _is_bf16() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


class _Blocking(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The result of `func`; torch calls this for every function inside the context."""
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention and _suits(*args, **kwargs):
            # What else is given, maybe by place, is what torch takes for nothing.
            ours = {name: kwargs[name] for name in ("query", "key", "value", "scale") if name in kwargs}
            return blocked_attention(*args[:3], **ours)
        return func(*args, **kwargs)


def blocked_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float | None = None
) -> torch.Tensor:
    """Attention (B, H, L, D) in bf16 of a query (B, H, L, D) on a key and a value (B, H, S, D).

    scale: factor of the products of query and key; None for D ** -0.5. Scores are rounded to bf16, their softmax is
    computed in fp32. The memory layout is that of torch's answer, (B, L, H, D).
    """
    attended: torch.Tensor = _Blocked.apply(query, key, value, query.shape[-1] ** -0.5 if scale is None else scale)
    return attended


def _suits(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **_: Any,
) -> bool:
    """Whether `blocked_attention` computes this call of torch's `scaled_dot_product_attention`."""
    is_plain = attn_mask is None and not dropout_p and not is_causal
    return (
        is_plain
        and query.device.type == "cpu"
        and _is_bf16()
        and not _may_run_again()
        and not (query.is_nested or key.is_nested or value.is_nested)
        and query.ndim == 4
        and key.shape == value.shape
        and (*query.shape[:2], query.shape[3]) == (*key.shape[:2], key.shape[3])
        and query.shape[2] * key.shape[2] * query.shape[3] > 0
        and query.shape[2] * key.shape[2] <= MOST_OF_A_HEAD
    )


def _may_run_again() -> bool:
    """Whether gradient checkpointing computes this again in the backward pass, when the context has ended.

    In one of its two ways it hooks what is saved (as it asks itself), in the other it first runs without gradients.
    """
    return not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


class _Blocked(torch.autograd.Function):
    """Attention over blocks of heads."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any, query_BHLD: torch.Tensor, key_BHSD: torch.Tensor, value_BHSD: torch.Tensor, scale: float
    ) -> torch.Tensor:
        query_NLD, key_NSD, value_NSD = (tensor.flatten(0, 1) for tensor in (query_BHLD * scale, key_BHSD, value_BHSD))
        ctx.save_for_backward(query_NLD, key_NSD, value_NSD)
        ctx.scale, ctx.shapes = scale, (query_BHLD.shape, key_BHSD.shape)
        attended_NLD = torch.empty_like(query_NLD)
        for block in _blocks(query_NLD, key_NSD):
            torch.bmm(_weights(query_NLD[block], key_NSD[block]), value_NSD[block], out=attended_NLD[block])
        attended_BHLD = attended_NLD.view(query_BHLD.shape)
        return attended_BHLD.transpose(1, 2).contiguous().transpose(1, 2)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(  # type: ignore[override]
        ctx: Any, gradient_BHLD: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        query_NLD, key_NSD, value_NSD = ctx.saved_tensors
        gradient_NLD = gradient_BHLD.flatten(0, 1)
        of_query, of_key, of_value = (torch.empty_like(tensor) for tensor in ctx.saved_tensors)
        for block in _blocks(query_NLD, key_NSD):
            query, key, value, gradient = (t[block] for t in (query_NLD, key_NSD, value_NSD, gradient_NLD))
            weights = _weights(query, key)
            torch.bmm(weights.mT, gradient, out=of_value[block])
            of_scores = torch._softmax_backward_data(torch.bmm(gradient, value.mT), weights, -1, weights.dtype)
            torch.bmm(of_scores, key, out=of_query[block])
            torch.bmm(of_scores.mT, query, out=of_key[block])
        of_query *= ctx.scale
        query_shape, key_shape = ctx.shapes
        return of_query.view(query_shape), of_key.view(key_shape), of_value.view(key_shape), None


def _weights(query_NLD: torch.Tensor, key_NSD: torch.Tensor) -> torch.Tensor:
    return torch.bmm(query_NLD, key_NSD.mT).softmax(-1)


def _blocks(query_NLD: torch.Tensor, key_NSD: torch.Tensor) -> list[slice]:
    size = max(1, BLOCK // (query_NLD.shape[1] * key_NSD.shape[1]))
    return [slice(start, start + size) for start in range(0, len(query_NLD), size)]
