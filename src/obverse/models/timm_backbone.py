"""Any timm model as a backbone: pooled features, weights from the hub, a local file, or none.

mean and std come from the weights' own configuration (trap E2), and the size multiple from the model itself.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models import get_pretrained_cfg, is_model, list_models, list_pretrained
from torch import nn

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.recipe import TimmBackbone, did_you_mean

HUB_TIMEOUT_SECONDS = 3


def require_known(name: str) -> None:
    """RecipeError with a near name when timm has no such model, or no such tag (`model.tag`) of it."""
    base = name.partition(".")[0]
    if not is_model(base):
        raise RecipeError(f"model.backbone.name: timm has no model `{name}`{did_you_mean(name, list_models())}")
    try:
        get_pretrained_cfg(name)
    except RuntimeError:
        near = did_you_mean(name, list_pretrained(f"{base}.*"))
        raise RecipeError(f"model.backbone.name: timm has no model `{name}`{near}") from None


def weights_statistics(spec: TimmBackbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) that the weights expect, in 0..1 units."""
    config = get_pretrained_cfg(spec.name)
    mean = spec.mean or (config.mean if config else (0.5, 0.5, 0.5))
    std = spec.std or (config.std if config else (0.5, 0.5, 0.5))
    return tuple(mean), tuple(std)


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
        arguments["pretrained_cfg_overlay"] = {"file": str(_checked_file(spec))}
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
            fault = (str(error).strip().splitlines() or [""])[:2][-1].strip()
            raise DataError(f"{spec.pretrained!r} does not fit `{spec.name}`: {fault}") from None
        raise UnavailableError(
            f"the weights of `{spec.name}` could not be loaded: {error}. {_ways(spec.name)}"
        ) from error
    return model


def require_hub(name: str) -> None:
    """UnavailableError, before anything starts, when the hub's weights are neither cached nor reachable."""
    reason = why_unavailable(name)
    if reason:
        raise UnavailableError(f"the pretrained weights of `{name}` are not here and {reason}. {_ways(name)}")


def why_unavailable(name: str) -> str | None:
    """None when the hub weights are cached or the hub answers; otherwise the reason, as a clause."""
    from huggingface_hub import constants, try_to_load_from_cache

    config = get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        return "timm publishes none under this name"
    files = ("model.safetensors", "pytorch_model.bin")
    if config.hf_hub_id and any(isinstance(try_to_load_from_cache(config.hf_hub_id, f), str) for f in files):
        return None
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids downloading"
    host = urlparse(constants.ENDPOINT)
    try:
        port = host.port or (443 if host.scheme == "https" else 80)
        socket.create_connection((host.hostname or "", port), timeout=HUB_TIMEOUT_SECONDS).close()
    except OSError:
        return "the hub cannot be reached"
    return None


def _ways(name: str) -> str:
    return (f"Ways: connect to the network once; or put a weight file of `{name}` on this machine and set "
            "model.backbone.pretrained=path/to/model.safetensors; or train from scratch with "
            "model.backbone.pretrained=none")  # fmt: skip


def _checked_file(spec: TimmBackbone) -> Path:
    """The weight file, after checking that it holds the model's tensors: timm itself loads what fits, silently."""
    path = Path(spec.pretrained)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise UnavailableError(f"model.backbone.pretrained: no file {str(path)!r} (or say `hub` or `none`)")
    wanted = _skeleton(spec).state_dict()
    found = _tensor_names(path)
    missing = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    if missing:
        raise DataError(
            f"{str(path)!r} does not hold `{spec.name}`: {len(missing)} of {len(wanted)} tensors are missing, "
            f"the first is {missing[0]}"
        )
    return path


def _tensor_names(path: Path) -> set[str]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return set(file.keys())
        state = torch.load(path, map_location="meta", weights_only=True)
        return set(state.get("state_dict", state.get("model", state)))
    except (SafetensorError, OSError, RuntimeError, AttributeError, ValueError, EOFError) as error:
        raise DataError(f"{str(path)!r} is not a weight file that can be read: {error}") from None
    except Exception as error:  # pickle raises many types; weights_only never runs code
        raise DataError(f"{str(path)!r} is not a weight file that can be read safely: {error}") from None
