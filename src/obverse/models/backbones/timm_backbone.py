"""Any timm model as a backbone: pooled features, weights from the hub, a local file, or none.

mean and std come from the weights' own configuration, and the size multiple from the model itself.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import get_pretrained_cfg, is_model, is_model_in_modules, list_models, list_pretrained
from torch import nn

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.models.weights.hub import WEIGHT_FILES, not_here, unknown_statistics, why_not_on_hub
from obverse.models.weights.positions import regridded
from obverse.models.weights.vit_formats import timm_names, written_by
from obverse.models.weights.weight_files import (
    CONFIG,
    PREPROCESSOR,
    Framing,
    State,
    find_weights,
    misfit,
    read_json,
    read_weights,
    require_all,
)
from obverse.recipe import ALIASES, TimmBackbone, did_you_mean, restriction

from .adapted import patch_strides, require_size
from .network import HALF, InputNeeds, Network, weights_needs

# torchvision publishes its ViTs with these only.
IMAGENET = {"mean": IMAGENET_DEFAULT_MEAN, "std": IMAGENET_DEFAULT_STD}
# CrossViT cuts the picture into patches of 12, and the picture at 224/240 of its size into patches of 16.
MULTIPLES = {"crossvit": 240}
# What constructors raise for options that they do not take.
REFUSALS = (TypeError, ValueError, AssertionError, ArithmeticError, LookupError)


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
    """The spec completed by the mean and std in a local folder of weights, or by timm's current default tag."""
    require_known(spec.name)
    if spec.pretrained not in ("hub", "none"):
        return _with_own_statistics(spec)
    config = get_pretrained_cfg(spec.name)
    if spec.is_scratch or "." in spec.name or config is None or not config.tag:
        return spec
    return spec.changed({"name": f"{spec.name}.{config.tag}"})


def _with_own_statistics(spec: TimmBackbone) -> TimmBackbone:
    path = find_weights(spec.pretrained)
    values = read_json(path.parent / CONFIG)
    architecture, own = values.get("architecture"), values.get("pretrained_cfg") or values
    if architecture not in (None, spec.name.partition(".")[0]):
        raise DataError(f"{str(path.parent)!r} holds `{architecture}`, and the recipe says `{spec.name}`")
    processor = read_json(path.parent / PREPROCESSOR)
    statistics = {key: getattr(spec, key) or own.get(key) or processor.get(f"image_{key}") for key in IMAGENET}
    writer = None if all(statistics.values()) else written_by(read_weights(path, "meta"))
    if writer == "transformers":
        raise unknown_statistics(PREPROCESSOR, f"{str(path)!r} comes from Transformers, where every model has its own")
    if writer == "torchvision":
        statistics = {key: value or IMAGENET[key] for key, value in statistics.items()}
    return spec.changed({key: tuple(map(float, value)) for key, value in statistics.items() if value})


def weights_statistics(spec: TimmBackbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of the name's weights, in 0..1 units."""
    config = get_pretrained_cfg(spec.name)
    return tuple(config.mean if config else HALF), tuple(config.std if config else HALF)


def weights_framing(spec: TimmBackbone) -> Framing:
    """Training size and crop fraction of the weights: from a local folder or file, else from timm's configuration."""
    if spec.is_scratch:
        return None, 1.0
    config = _config(spec)
    own: dict[str, Any] = {}
    if spec.pretrained != "hub":
        path = Path(spec.pretrained).expanduser()
        values = read_json((path if path.is_dir() else path.parent) / CONFIG)
        own = values.get("pretrained_cfg") or values
    _, height, width = own.get("input_size") or config.input_size
    size = None if spec.pretrained == "hub" or "input_size" in own else _size_of_positions(spec)
    return size or (height, width), float(own.get("crop_pct") or config.crop_pct)


def _size_of_positions(spec: TimmBackbone) -> tuple[int, int] | None:
    """Size of the pictures that a ViT's weight file was trained on, where it has a square of position embeddings."""
    try:
        state = timm_names(read_weights(find_weights(spec.pretrained), "meta"))
    except (DataError, UnavailableError):  # a bundle needs the file no more
        return None
    positions, kernel = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    if positions is None or kernel is None or positions.ndim != 3 or kernel.ndim != 4:
        return None
    sides = [math.isqrt(num) for num in (positions.shape[1], positions.shape[1] - 1) if math.isqrt(num) ** 2 == num]
    return (sides[0] * kernel.shape[-1],) * 2 if sides and sides[0] else None


def size_multiple(spec: TimmBackbone) -> int:
    """Number that height and width must be multiples of, so that the model takes them without dropping pixels."""
    for family, multiple in MULTIPLES.items():
        if spec.name.startswith(family):
            return multiple
    model, config = _skeleton(spec), _config(spec)
    patches = patch_strides(model)
    # NaFlexViT cuts patches without a convolution, in what it calls `embeds`.
    cuts = any(getattr(model, name, None) is not None for name in ("patch_embed", "embeds"))
    if not (config.fixed_input_size or cuts or patches):
        return 1
    reductions = [stage["reduction"] for stage in getattr(model, "feature_info", None) or ()]
    return int(max(reductions or patches or [1]))


def _config(spec: TimmBackbone) -> Any:
    return get_pretrained_cfg(spec.name, allow_unregistered=True) or timm.models.PretrainedCfg()


def _skeleton(spec: TimmBackbone, **size: Any) -> Any:
    """The model on the meta device, without memory for its tensors, for inspection."""
    try:
        with torch.device("meta"):
            return timm.create_model(spec.name, num_classes=0, **(dict(spec.options) | size))
    except REFUSALS as error:
        what = "these, or data.size" if size else "these"
        raise RecipeError(f"model.backbone.options: {spec.name} does not take {what}: {error}") from None


def build_timm(spec: TimmBackbone, *, height: int, width: int, load_weights: bool = True) -> nn.Module:
    """The backbone: the model without its classifier. load_weights: False if the caller loads its own weights.

    UnavailableError when weights are not available, DataError when a file does not fit the model, RecipeError when the
    model does not take its options or pictures of this size.
    """
    require_known(spec.name)
    size: dict[str, Any] = {"img_size": (height, width)} if _config(spec).fixed_input_size else {}
    pretrained = load_weights and spec.pretrained != "none"
    arguments: dict[str, Any] = {"num_classes": 0, "drop_rate": spec.drop_rate, **spec.options}
    if spec.drop_path_rate:
        arguments["drop_path_rate"] = spec.drop_path_rate
    if pretrained and spec.pretrained == "hub":
        require_hub(spec.name)
    elif pretrained:
        arguments["pretrained_cfg_overlay"] = {"state_dict": _local_state(spec), "custom_load": False}
    # A plain ViT takes any multiple of its patch.
    if not is_model_in_modules(spec.name, {"vision_transformer"}):
        require_size(_skeleton(spec, **size), spec.name, height, width)
    try:
        model: nn.Module = timm.create_model(spec.name, pretrained=pretrained, **(arguments | size))
        if pretrained:
            _place_positions(spec, model, arguments)
    except REFUSALS as error:
        raise RecipeError(f"model.backbone: {spec.name} does not take these options: {error}") from None
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        if spec.pretrained != "hub":
            raise misfit(spec.pretrained, spec.name, error) from None
        raise not_here(spec.name, f"could not be loaded: {error}") from error
    model.pretrained_cfg.pop("state_dict", None)  # type: ignore[union-attr, operator]
    for module in model.modules():
        if hasattr(module, "attention_bias_cache"):
            module.register_forward_pre_hook(_forget_biases)
    return model


def _forget_biases(module: Any, _: Any) -> None:
    """Clear what TinyViT, LeViT and their like keep of their parameters in evaluation mode.

    timm clears it on `train()` only, and averaged weights change while their model stays in evaluation mode.
    """
    module.attention_bias_cache.clear()


def _place_positions(spec: TimmBackbone, model: Any, arguments: dict[str, Any]) -> None:
    """Resample position embeddings that timm kept because their number fits, as 7x28 patches fit 14x14 by chance.

    arguments: of a model of the weights' own size.
    """
    positions: Any = getattr(model, "pos_embed", None)
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if grid is None or grid[0] == grid[1] or getattr(positions, "ndim", 0) != 3:
        return
    num = math.prod(grid)
    if math.isqrt(num) ** 2 != num:
        return
    local = arguments.get("pretrained_cfg_overlay", {}).get("state_dict")
    own = local or timm.create_model(spec.name, pretrained=True, **arguments).state_dict()
    if torch.equal(own["pos_embed"], positions):
        positions.data.copy_(regridded(positions.detach(), grid, num_prefix=positions.shape[1] - num))


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


def input_needs(spec: TimmBackbone) -> InputNeeds:
    """Input needs of the model and its weights."""
    require_known(spec.name)
    return weights_needs(spec, size_multiple(spec), weights_statistics(spec), weights_framing(spec))


def licence(spec: TimmBackbone) -> str:
    """Licence of the weights as timm's configuration says, or the one beside a local file.

    Nothing says whose a bare file is. Where all of timm's weights of that network are restricted, theirs is assumed.
    """
    if spec.pretrained == "hub":
        return _license(get_pretrained_cfg(spec.name))
    path = Path(spec.pretrained).expanduser()
    values = read_json((path if path.is_dir() else path.parent) / CONFIG)
    own = (values.get("pretrained_cfg") or values).get("license")
    if isinstance(own, str):
        return own
    base = spec.name.partition(".")[0]
    published = {_license(get_pretrained_cfg(name)) for name in list_pretrained(f"{base}.*")}
    return published.pop() if len(published) == 1 and all(map(restriction, published)) else ""


def _license(config: Any) -> str:
    name = getattr(config, "license", None) or ""
    return "" if name == "unknown" else name


NETWORK = Network(build_timm, input_needs, pinned, licence)
