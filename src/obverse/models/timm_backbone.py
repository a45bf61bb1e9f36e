"""Any timm model as a backbone: pooled features, weights from the hub, a local file, or none.

mean and std come from the weights' own configuration (trap E2), and the size multiple from the model itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg, is_model, list_models, list_pretrained
from torch import nn

from obverse.errors import DataError, RecipeError
from obverse.recipe import ALIASES, TimmBackbone, did_you_mean

from .hub import WEIGHT_FILES, not_here, why_not_on_hub
from .vit_formats import timm_names
from .weight_files import (
    CONFIG,
    PREPROCESSOR,
    State,
    find_weights,
    misfit,
    read_json,
    read_weights,
    require_all,
)

HALF = (0.5, 0.5, 0.5)


def require_known(name: str) -> None:
    """RecipeError with a near name when timm has no such model, or no such tag (`model.tag`) of it."""
    base = name.partition(".")[0]
    if not is_model(base):
        raise RecipeError(
            f"model.backbone.name: timm has no model `{name}`{did_you_mean(name, [*ALIASES, *list_models()])}"
        )
    try:
        get_pretrained_cfg(name)
    except RuntimeError:
        near = did_you_mean(name, list_pretrained(f"{base}.*"))
        raise RecipeError(f"model.backbone.name: timm has no model `{name}`{near}") from None


def pinned(spec: TimmBackbone) -> TimmBackbone:
    """The same, with what a local folder says of its weights, or the tag that timm takes today, written down."""
    require_known(spec.name)
    if spec.pretrained not in ("hub", "none"):
        return _with_own_statistics(spec)
    config = get_pretrained_cfg(spec.name)
    if spec.is_scratch or "." in spec.name or config is None or not config.tag:
        return spec
    return spec.model_copy(update={"name": f"{spec.name}.{config.tag}"})


def _with_own_statistics(spec: TimmBackbone) -> TimmBackbone:
    folder = find_weights(spec.pretrained).parent
    values = read_json(folder / CONFIG)
    architecture, own = values.get("architecture"), values.get("pretrained_cfg") or values
    if architecture not in (None, spec.name.partition(".")[0]):
        raise DataError(f"{str(folder)!r} holds `{architecture}`, and the recipe says `{spec.name}`")
    processor = read_json(folder / PREPROCESSOR)
    found = {key: own.get(key) or processor.get(f"image_{key}") for key in ("mean", "std")}
    update = {key: tuple(map(float, value)) for key, value in found.items() if value and getattr(spec, key) is None}
    return spec.model_copy(update=update)


def weights_statistics(spec: TimmBackbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of the name's weights, in 0..1 units."""
    config = get_pretrained_cfg(spec.name)
    return tuple(config.mean if config else HALF), tuple(config.std if config else HALF)


def size_multiple(spec: TimmBackbone) -> int:
    """What height and width must be a multiple of: the patch for a ViT, 1 where any size works."""
    model = _skeleton(spec)
    if not (model.default_cfg.get("fixed_input_size") or getattr(model, "patch_embed", None)):
        return 1
    return int(max(stage["reduction"] for stage in model.feature_info))


def _skeleton(spec: TimmBackbone) -> Any:
    """The model without memory for its tensors, to be asked about itself."""
    options: dict[str, Any] = dict(spec.options)
    try:
        with torch.device("meta"):
            return timm.create_model(spec.name, num_classes=0, **options)
    except TypeError as error:
        raise RecipeError(f"model.backbone.options: {spec.name} does not take these: {error}") from None


def build_timm(spec: TimmBackbone, *, height: int, width: int, load_weights: bool = True) -> nn.Module:
    """The model without its classifier. load_weights False: the caller has weights of its own (a checkpoint).

    Raises UnavailableError when weights cannot be had, DataError when a file does not fit the model.
    """
    require_known(spec.name)
    pretrained = load_weights and spec.pretrained != "none"
    arguments: dict[str, Any] = {"num_classes": 0, "drop_rate": spec.drop_rate, **spec.options}
    if spec.drop_path_rate:
        arguments["drop_path_rate"] = spec.drop_path_rate
    if pretrained and spec.pretrained == "hub":
        require_hub(spec.name)
    elif pretrained:
        arguments["pretrained_cfg_overlay"] = {"state_dict": _local_state(spec), "custom_load": False}
    if (get_pretrained_cfg(spec.name, allow_unregistered=True) or timm.models.PretrainedCfg()).fixed_input_size:
        arguments["img_size"] = (height, width)
    try:
        model: nn.Module = timm.create_model(spec.name, pretrained=pretrained, **arguments)
    except TypeError as error:
        raise RecipeError(f"model.backbone: {spec.name} does not take these options: {error}") from None
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        if spec.pretrained != "hub":
            raise misfit(spec.pretrained, spec.name, error) from None
        raise not_here(spec.name, f"could not be loaded: {error}") from error
    model.pretrained_cfg.pop("state_dict", None)  # type: ignore[union-attr, operator]
    return model


def require_hub(name: str) -> None:
    """UnavailableError, before anything starts, when the hub's weights are neither cached nor reachable."""
    reason = why_unavailable(name)
    if reason:
        raise not_here(name, reason)


def why_unavailable(name: str) -> str | None:
    """None when the hub weights are cached or the hub answers; otherwise the reason, as a clause."""
    config = get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return "timm publishes none under this name"
    return why_not_on_hub(config.hf_hub_id or "", WEIGHT_FILES if config.hf_hub_id else ())


def _local_state(spec: TimmBackbone) -> State:
    """The tensors under timm's names, after checking that none is missing: timm itself loads what fits, silently."""
    path: Path = find_weights(spec.pretrained)
    state = timm_names(read_weights(path))
    require_all(_skeleton(spec), state, source=str(path), name=spec.name)
    return state
