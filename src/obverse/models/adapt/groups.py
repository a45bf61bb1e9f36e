"""Parameter groups of the optimizer: weight decay and learning-rate scale of each parameter.

Modules state their stages and exceptions by timm's methods; names are never parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from obverse.errors import RecipeError
from obverse.models.classifier import Classifier


def undecayed_names(model: nn.Module) -> set[str]:
    """Full names of parameters that weight decay must not touch.

    Norms, biases and scales have at most one dimension; embedding tables are `nn.Embedding`; position embeddings and
    tokens are named by the module's own `no_weight_decay()` (timm's convention).
    """
    names = {name for name, parameter in model.named_parameters() if parameter.ndim <= 1}
    for prefix, module in model.named_modules():
        dot = f"{prefix}." if prefix else ""
        ask: Callable[[], Any] | None = getattr(module, "no_weight_decay", None)
        if ask is not None:
            names |= {dot + name for name in ask()}
        if isinstance(module, nn.Embedding):
            names.add(f"{dot}weight")
    return names


def stage_numbers(backbone: nn.Module, *, coarse: bool) -> dict[str, int]:
    """Parameter name -> number of its stage (coarse) or layer, from 0 for the stem.

    The numbers are those of the backbone's `group_matcher(coarse)` (timm's convention, which our networks follow).
    RecipeError when the backbone has none.
    """
    ask: Callable[..., Any] | None = getattr(backbone, "group_matcher", None)
    if ask is None:
        raise RecipeError(f"finetune: {type(backbone).__name__} does not say which stages it has; "
                          "say finetune.train=all without freeze_stages, train_stages, unfreeze_epochs and "
                          "layer_decay")  # fmt: skip
    from timm.models import group_parameters

    numbers: dict[str, int] = group_parameters(backbone, ask(coarse=coarse), reverse=True)
    return numbers


def rate_scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """Full parameter name -> learning-rate scale: 1 for fusion and head, times `layer_decay` for each layer below."""
    scales = dict.fromkeys((name for name, _ in model.named_parameters()), 1.0)
    if layer_decay == 1:
        return scales
    assert isinstance(model, Classifier)
    for index, backbone in enumerate(model.backbones):
        layers = stage_numbers(backbone, coarse=False)
        top = 1 + max(layers.values())
        scales |= {f"backbones.{index}.{name}": layer_decay ** (top - number) for name, number in layers.items()}
    return scales


def parameter_groups(model: nn.Module, weight_decay: float, *, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Groups for an optimizer by decay and rate (`lr_scale`), full rate first; frozen parameters are left out."""
    undecayed, scales = undecayed_names(model), rate_scales(model, layer_decay)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((scales[name], name in undecayed), []).append(parameter)
    return [
        {"params": groups[scale, is_free], "weight_decay": 0.0 if is_free else weight_decay, "lr_scale": scale}
        for scale, is_free in sorted(groups, key=lambda key: (-key[0], key[1]))
    ]
