"""Recording of attention and feature maps inside a backbone while it runs, without changing it.

Attention weights are computed a second time from the queries and keys that go into the attention; the model's own
computation is never replaced, so fused attention stays fused and the logits keep every bit. This works for any network
whose attention is torch's `scaled_dot_product_attention`, `MultiheadAttention` or a softmax over square scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Most tokens before the grid: class token, distillation token and registers.
MOST_PREFIX_TOKENS = 17
_SOFTMAX: tuple[Callable[..., Any], ...] = (torch.softmax, torch.Tensor.softmax, functional.softmax)


@dataclass
class Seen:
    """Record of one call of a backbone."""

    attention_BNN: list[torch.Tensor] = field(default_factory=list)
    """Attention weights of each layer, mean over heads."""

    map: torch.Tensor | None = None
    """Last feature map with more than one place."""

    grid: tuple[int, int] | None = None
    """(height, width) of the tokens: shape of the last convolution's output before the first attention."""

    @property
    def num_prefix(self) -> int | None:
        """Number of tokens before those of the grid; None unless all layers have global attention."""
        sizes = {tuple(layer.shape) for layer in self.attention_BNN}
        if len(sizes) != 1 or self.grid is None:
            return None
        prefix = next(iter(sizes))[-1] - math.prod(self.grid)
        return prefix if 0 <= prefix <= MOST_PREFIX_TOKENS else None


class Watch(TorchFunctionMode):
    """Context that records every call of a backbone as a `Seen` in `calls`.

    encoders: the backbones of every member; members run one after the other.
    """

    def __init__(self, encoders: Sequence[nn.ModuleList]) -> None:
        super().__init__()
        self.calls: list[Seen] = []
        self._encoders = encoders
        self._backbones = [backbone for backbones in encoders for backbone in backbones]
        self._now: Seen | None = None
        self._hooks: list[Any] = []

    def __enter__(self) -> Watch:
        for backbone in self._backbones:
            self._hooks += [
                backbone.register_forward_pre_hook(self._begin),
                *(module.register_forward_hook(self._look) for module in backbone.modules()),
                *(
                    module.register_forward_hook(self._look_again, with_kwargs=True)
                    for module in backbone.modules()
                    if isinstance(module, nn.MultiheadAttention)
                ),
                backbone.register_forward_hook(self._end, always_call=True),
            ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        while self._hooks:
            self._hooks.pop().remove()

    def members(self) -> list[list[Seen]]:
        """The recorded calls by member: one where its views share a backbone, else one per view."""
        left = iter(self.calls)
        return [[next(left) for _ in backbones] for backbones in self._encoders]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The result of `func`, unchanged; torch calls this for every function inside the context."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._now is not None:
            if func is functional.scaled_dot_product_attention:
                self._note(attention_weights(*args[:2], *args[3:], **kwargs))
            elif func in _SOFTMAX and result.ndim == 4 and result.shape[-1] == result.shape[-2] > 1:
                self._note(result.detach().float().mean(1))
        return result

    def _note(self, weights_BNN: torch.Tensor | None) -> None:
        if self._now is not None and weights_BNN is not None:
            self._now.attention_BNN.append(weights_BNN)

    def _begin(self, _: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Hook before a backbone: in gradient mode its input requires gradients, for the case of a frozen network."""
        self._now = Seen()
        return (args[0].detach().requires_grad_(), *args[1:]) if torch.is_grad_enabled() else None

    def _look(self, module: nn.Module, _: Any, output: Any) -> None:
        seen = self._now
        if seen is None or not isinstance(output, torch.Tensor) or output.ndim != 4 or min(output.shape[1:]) < 1:
            return
        if math.prod(output.shape[2:]) > 1:
            seen.map = output
            # Queries and keys have four axes, too; only the output of a convolution is a grid.
            if not seen.attention_BNN and any(isinstance(part, nn.Conv2d) for part in module.modules()):
                seen.grid = (output.shape[2], output.shape[3])

    def _look_again(self, module: nn.Module, args: Any, kwargs: dict[str, Any], _: Any) -> None:
        """Hook after `MultiheadAttention`, which hides its weights: the layer is called again with `need_weights`."""
        assert isinstance(module, nn.MultiheadAttention)
        now, self._now = self._now, None
        with torch.no_grad():
            asked = {**kwargs, "need_weights": True, "average_attn_weights": True}
            _, weights_BNN = module.forward(*args[:3], **asked)
        self._now = now
        self._note(weights_BNN)

    def _end(self, *_: Any) -> None:
        if self._now is not None:
            self.calls.append(self._now)
        self._now = None


def attention_weights(
    query_BSND: torch.Tensor,
    key_BSND: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **others: Any,
) -> torch.Tensor | None:
    """Attention weights of `scaled_dot_product_attention`, averaged over heads; None unless they are square.

    One head at a time: at 1008x1008 the scores of a single head take 63 MB.
    """
    if query_BSND.ndim != 4 or query_BSND.shape != key_BSND.shape or is_causal:
        return None
    factor = scale if scale is not None else query_BSND.shape[-1] ** -0.5
    total_BNN: torch.Tensor | None = None
    with torch.no_grad():
        for head in range(query_BSND.shape[1]):
            scores_BNN = query_BSND[:, head].float() @ key_BSND[:, head].float().transpose(-2, -1) * factor
            weights_BNN = (scores_BNN + _bias(attn_mask, head)).softmax(-1)
            total_BNN = weights_BNN if total_BNN is None else total_BNN + weights_BNN
    return None if total_BNN is None else total_BNN / query_BSND.shape[1]


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
