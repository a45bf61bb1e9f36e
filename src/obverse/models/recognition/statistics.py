"""Mean and standard deviation that the weights in a file expect, and the tag of timm that tells them apart."""

from __future__ import annotations

from typing import Any

from timm.models import get_pretrained_cfg, list_pretrained

from obverse.models.backbones.timm_backbone import pinned
from obverse.models.weights.weight_files import State
from obverse.recipe import TimmBackbone

from .hints import Channels, Hints

HALF = (0.5, 0.5, 0.5)


def with_statistics(spec: TimmBackbone, state: State, hints: Hints) -> tuple[TimmBackbone, str]:
    """The spec with mean and std, and a clause that says where they come from.

    In this order: the user, the file's metadata, the configuration beside it, timm's configuration of that name.
    """
    if spec.mean and spec.std:
        return pinned(spec), _clause(spec, "as you say")
    spec = spec.changed({"mean": spec.mean or hints.mean, "std": spec.std or hints.std})
    if spec.mean and spec.std:
        return pinned(spec), _clause(spec, "as the file's metadata say")
    spec = pinned(spec)
    if spec.mean and spec.std:
        return spec, _clause(spec, "as the configuration beside it says")
    config = _configuration(spec.name, state, hints)
    mean, std = (tuple(config.mean), tuple(config.std)) if config else (HALF, HALF)
    spec = spec.changed({"mean": spec.mean or mean, "std": spec.std or std})
    of = f"{spec.name}.{config.tag}" if config and config.tag else spec.name
    return spec, _clause(
        spec,
        f"those of timm's {of}, because the file does not say them: if it is another one, set model.backbone.mean and "
        "model.backbone.std",
    )


def _configuration(name: str, state: State, hints: Hints) -> Any:
    """timm's configuration for the weights of a name that are most likely in the file.

    First the tag that is written about the file, then timm's default tag, then any, with as many classes as the file's
    classifier; the default tag where none has.
    """
    default = get_pretrained_cfg(name)
    tags = [config for full in list_pretrained(f"{name}.*") if (config := get_pretrained_cfg(full)) is not None]
    written = [config for config in tags if f"{name}.{config.tag}" in hints.text]
    if written:
        return max(written, key=lambda config: len(config.tag or ""))
    usual = [default] if default is not None else []
    return next((config for config in [*usual, *tags] if config.num_classes == _num_classes(config, state)), default)


def _num_classes(config: Any, state: State) -> int:
    """Outputs of the classifier in the file; 0 when there is none."""
    names = config.classifier if isinstance(config.classifier, tuple | list) else (config.classifier,)
    weights = [state[f"{name}.weight"] for name in names if f"{name}.weight" in state]
    return int(weights[0].shape[0]) if weights else 0


def _clause(spec: TimmBackbone, source: str) -> str:
    return f"mean {_short(spec.mean or HALF)} and std {_short(spec.std or HALF)}, {source}"


def _short(channels: Channels) -> str:
    """Three numbers; one, where they are equal."""
    numbers = [f"{value:g}" for value in channels]
    return numbers[0] if len(set(numbers)) == 1 else f"[{', '.join(numbers)}]"
