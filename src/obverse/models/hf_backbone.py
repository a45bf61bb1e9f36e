"""An image model of Hugging Face Transformers as a backbone: by hub name, or from a local folder, offline.

A plain ViT is built by timm from the same tensors, without the transformers package: position embeddings are resampled
when it is loaded, attention is fused, LoRA and checkpointing are the usual ones. Every other architecture is the
package's own, and this is the only file that imports it. No code from a hub is ever run.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.recipe import HFBackbone

from .adapted import AdaptedBackbone, require_size
from .hf_files import local_folder, read_config, weights_of
from .vit import ViTShape, build_vit, fill_vit
from .vit_formats import timm_names
from .weight_files import one_line, read_weights

NUM_LABELS = 2
PLAIN_VITS = ("vit",)
WINDOWS = 32


def size_multiple(spec: HFBackbone) -> int:
    """What height and width must be a multiple of: the patch, times the window where the model has windows."""
    config = read_config(spec)
    patch = config.get("patch_size", 1)
    if isinstance(patch, list):
        patch = max(patch)
    return WINDOWS if "window_size" in config else int(patch)


def build_hf(spec: HFBackbone, *, height: int, width: int, load_weights: bool = True) -> nn.Module:
    """The model without its classifier. load_weights False: the caller has weights of its own (a checkpoint).

    Raises UnavailableError when weights or the package cannot be had, DataError when a file does not fit.
    """
    config = read_config(spec)
    is_loaded = load_weights and not spec.is_scratch
    if config.get("model_type") in PLAIN_VITS:
        vit = build_vit(_vit_shape(config, spec.name), height=height, width=width)
        if is_loaded:
            path = weights_of(spec)
            fill_vit(vit, timm_names(read_weights(path)), source=str(path), name=spec.name)
        return vit
    with torch.device("meta"):
        skeleton = _Adapted(_net(config, spec.name))
    require_size(skeleton, spec.name, height, width)
    return _loaded(spec, config) if is_loaded else _Adapted(_net(config, spec.name))


class _Adapted(AdaptedBackbone):
    """Reads the answer of a Transformers model, whose pictures need not have the size of its pretraining."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net, num_outputs=NUM_LABELS)
        takes = inspect.signature(net.forward).parameters
        self._options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Features (B, num_features)."""
        features: torch.Tensor = self.net(pixel_values=images_BCHW, **self._options).logits
        return features.flatten(1)


def _net(config: dict[str, Any], name: str) -> nn.Module:
    """With random weights."""
    from_config = _transformers(name).AutoModelForImageClassification.from_config
    try:
        net: nn.Module = from_config(_library_config(config, name))
    except (ValueError, TypeError) as error:
        fault = one_line(error)
        raise RecipeError(f"model.backbone: Transformers has no image classifier like `{name}`: {fault}") from None
    return net


def _library_config(config: dict[str, Any], name: str) -> Any:
    values = {key: value for key, value in config.items() if key not in ("model_type", "num_labels")}
    try:
        return _transformers(name).AutoConfig.for_model(config["model_type"], **values, num_labels=NUM_LABELS)
    except (KeyError, ValueError, TypeError) as error:
        fault = one_line(error)
        raise RecipeError(f"model.backbone: Transformers cannot read the configuration of `{name}`: {fault}") from None


def _loaded(spec: HFBackbone, config: dict[str, Any]) -> nn.Module:
    """With its weights, read by the package, which knows the names of all its years. DataError where one is missing."""
    is_local = spec.pretrained != "hub" or local_folder(spec) is not None
    source = str(weights_of(spec).parent) if is_local else spec.name
    library = _transformers(spec.name)
    try:
        with _quiet(library):
            net, said = library.AutoModelForImageClassification.from_pretrained(
                source,
                config=_library_config(config, spec.name),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                local_files_only=is_local,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise DataError(f"{source!r} is not a weight file that can be read: {one_line(error)}") from None
    backbone = _Adapted(net.float())
    own = set(backbone.net.state_dict())
    if missing := sorted(own & set(said["missing_keys"])):
        raise DataError(f"{source!r} does not hold `{spec.name}`: {len(missing)} of {len(own)} tensors are missing, "
                        f"the first is {missing[0]}")  # fmt: skip
    if others := sorted(own & {name for name, *_ in said["mismatched_keys"]}):
        raise DataError(f"{source!r} does not fit `{spec.name}`: {others[0]} has another shape")
    return backbone


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError:
        raise UnavailableError(f"`{name}` is a model of Transformers, which is not installed; "
                               "pip install 'obverse[hf]'") from None  # fmt: skip
    return transformers


@contextlib.contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without its bars and tables: what they say is checked."""
    logging = library.utils.logging
    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()


def _vit_shape(config: dict[str, Any], name: str) -> ViTShape:
    """With the defaults of Transformers' ViTConfig where config.json leaves something out."""
    if config.get("hidden_act", "gelu") != "gelu" or config.get("num_channels", 3) != 3:
        raise RecipeError(f"model.backbone: `{name}` is a ViT with {config.get('hidden_act', 'gelu')} for "
                          f"{config.get('num_channels', 3)} channels; only gelu and 3 can be built")  # fmt: skip
    try:
        width, heads = int(config.get("hidden_size", 768)), int(config.get("num_attention_heads", 12))
        shape = ViTShape(
            patch=int(config.get("patch_size", 16)),
            width=width,
            depth=int(config.get("num_hidden_layers", 12)),
            heads=heads,
            mlp_ratio=int(config.get("intermediate_size", 3072)) / width,
            eps=float(config.get("layer_norm_eps", 1e-12)),
            qkv_bias=bool(config.get("qkv_bias", True)),
        )
        if width % heads:
            raise ValueError(f"{heads} heads do not share {width}")
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"the configuration of `{name}` is none of a ViT: {one_line(error)}") from None
    return shape
