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

from .layers import AttentionLayer, FusedAttention, MultiheadAttention, SoftmaxAttention, mean_weights

# Cells that a fine map has along its shorter side, at least: a cell is no larger than an eighth of the picture.
MIN_CELLS = 8
# Most tokens before the grid: class token, distillation token and registers.
MOST_PREFIX_TOKENS = 17
_SOFTMAX: tuple[Callable[..., Any], ...] = (torch.softmax, torch.Tensor.softmax, functional.softmax)


@dataclass
class Seen:
    """Record of one call of a backbone."""

    attention_BNN: list[torch.Tensor] = field(default_factory=list)
    """Attention weights of each layer, mean over heads."""

    layers: list[AttentionLayer] = field(default_factory=list)
    """The same layers with their heads, for gradients; recorded only where gradients are computed."""

    tokens_BND: torch.Tensor | None = None
    """Normalised tokens that go into the last attention."""

    map: torch.Tensor | None = None
    """Last feature map with more than one place."""

    fine_map: torch.Tensor | None = None
    """Last feature map (B, D, h, w) of a convolution, normalised and activated, with at least `MIN_CELLS` cells along
    its shorter side; recorded only where gradients are computed."""

    has_attention: bool = False
    """Whether anything attends, in windows or to all tokens."""

    convolved: set[tuple[int, ...]] = field(default_factory=set)
    """Shapes (D, h, w) of the convolutions' outputs; other maps of such a shape have their channels first, too."""

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

    def on_grid(self, tokens: torch.Tensor) -> torch.Tensor:
        """Values (B, h, w, ..) of the grid's tokens, from values (B, N, ..) of all; only with global attention."""
        prefix, grid = self.num_prefix, self.grid
        assert prefix is not None
        assert grid is not None
        return tokens[:, prefix:].reshape(len(tokens), *grid, *tokens.shape[2:])


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
        self._normed: torch.Tensor | None = None
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
                self._note(FusedAttention.of(result, *args, **kwargs))
            elif func in _SOFTMAX and result.ndim > 2 and result.shape[-1] == result.shape[-2] > 1:
                self._note(SoftmaxAttention(result) if result.ndim == 4 else None)
        return result

    def _note(self, layer: AttentionLayer | None) -> None:
        if self._now is None:
            return
        self._now.has_attention = True
        if layer is None:
            return
        self._now.attention_BNN.append(mean_weights(layer))
        self._now.tokens_BND = self._normed
        if torch.is_grad_enabled():
            self._now.layers.append(layer)

    def _begin(self, _: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Hook before a backbone: in gradient mode its input requires gradients, for the case of a frozen network."""
        self._now, self._normed = Seen(), None
        return (args[0].detach().requires_grad_(), *args[1:]) if torch.is_grad_enabled() else None

    def _look(self, module: nn.Module, _: Any, output: Any) -> None:
        seen = self._now
        if seen is None or not isinstance(output, torch.Tensor) or min(output.shape, default=0) < 1:
            return
        if output.ndim == 3 and type(module).__name__.endswith("Norm"):
            self._normed = output
        if output.ndim != 4:
            return
        if math.prod(output.shape[2:]) > 1:
            seen.map = output
            self._look_at_convolutions(seen, module, output)
            # Queries and keys have four axes, too; only the output of a convolution is a grid.
            if not seen.attention_BNN and any(isinstance(part, nn.Conv2d) for part in module.modules()):
                seen.grid = (output.shape[2], output.shape[3])

    def _look_at_convolutions(self, seen: Seen, module: nn.Module, output: torch.Tensor) -> None:
        shape = tuple(output.shape[1:])
        if isinstance(module, nn.Conv2d):
            seen.convolved.add(shape)
        elif torch.is_grad_enabled() and min(shape[1:]) >= MIN_CELLS and shape in seen.convolved:
            seen.fine_map = output

    def _look_again(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Hook after `MultiheadAttention`, which hides its weights: the layer is called again with `need_weights`."""
        assert isinstance(module, nn.MultiheadAttention)
        now, self._now = self._now, None
        with torch.no_grad():
            asked = {**kwargs, "need_weights": True, "average_attn_weights": False}
            weights_BSNN: Any = module.forward(*args[:3], **asked)[1]
        self._now = now
        tokens = [*args, *(kwargs[name] for name in ("query", "key", "value") if name in kwargs)][2]
        self._note(MultiheadAttention(module, tokens.detach(), output[0], weights_BSNN))

    def _end(self, *_: Any) -> None:
        if self._now is not None:
            self.calls.append(self._now)
        self._now = None
