"""An image model of Hugging Face Transformers as a backbone: by hub name, or from a local folder, offline.

A plain ViT is built by timm from the same tensors, without the transformers package: position embeddings are resampled
when it is loaded, attention is fused, LoRA and checkpointing are the usual ones. Every other architecture is the
package's own, and this is the only file that imports it. No code from a hub is ever run.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Iterator
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from obverse.errors import DataError, RecipeError, UnavailableError
from obverse.models.weights.hf_files import (
    described,
    image_size,
    is_on_hub,
    read_config,
    weights_framing,
    weights_of,
    weights_statistics,
)
from obverse.models.weights.hub import not_here, why_not_on_hub
from obverse.models.weights.positions import Grid
from obverse.models.weights.vit_formats import timm_names
from obverse.models.weights.weight_files import OtherWeightsError, one_line, read_weights
from obverse.recipe import HFBackbone

from .adapted import AdaptedBackbone, patch_strides, require_size
from .network import InputNeeds, Network, weights_needs
from .vit import ViTShape, build_vit, fill_vit

NUM_LABELS = 2
PLAIN_VITS = ("vit",)
# What networks with windows, or with several stages of patches, shrink a picture by.
STAGES = 32


def size_multiple(spec: HFBackbone) -> int:
    """Number that height and width must be multiples of, so that no patch, stage or window drops pixels; 1: any."""
    config = read_config(spec)
    if config.get("model_type") in PLAIN_VITS:
        return _vit_of(config, spec.name)[0].patch
    skeleton: Any = _skeleton(config, spec.name)
    patches = patch_strides(skeleton)
    has_stages = len(patches) > 1 or "window_size" in skeleton.net.config.to_dict()
    return math.lcm(STAGES if has_stages else 1, *patches[:1])


def build_hf(spec: HFBackbone, *, height: int, width: int, load_weights: bool = True) -> nn.Module:
    """The backbone: the model without its classifier. load_weights: False if the caller loads its own weights.

    UnavailableError when weights or the package are not available, DataError when a file does not fit.
    """
    config = read_config(spec)
    is_loaded = load_weights and not spec.is_scratch
    if config.get("model_type") in PLAIN_VITS:
        shape, grid = _vit_of(config, spec.name)
        vit = build_vit(shape, height=height, width=width)
        if is_loaded:
            path = weights_of(spec)
            fill_vit(vit, timm_names(read_weights(path)), source=str(path), name=spec.name, grid=grid)
        return vit
    skeleton = _skeleton(config, spec.name)
    require_size(skeleton, spec.name, height, width)
    return _loaded(spec, config, type(skeleton.net)) if is_loaded else _Adapted(_net(config, spec.name))


def _skeleton(config: dict[str, Any], name: str) -> _Adapted:
    """The model on the meta device, without memory for its tensors, for inspection."""
    with torch.device("meta"):
        return _Adapted(_net(config, name))


class _Adapted(AdaptedBackbone):
    """Adapter of a Transformers model, for pictures of any size that the model can interpolate positions for."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net, num_outputs=NUM_LABELS)
        takes = inspect.signature(net.forward).parameters
        self._options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in takes else {}

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Features (B, num_features)."""
        features: torch.Tensor = self.net(pixel_values=images_BCHW, **self._options).logits
        return features.flatten(1)


def _net(config: dict[str, Any], name: str) -> nn.Module:
    """The model of a configuration, with random weights. RecipeError when Transformers has none."""
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


def _loaded(spec: HFBackbone, config: dict[str, Any], kind: Any) -> nn.Module:
    """The model with its weights, read by Transformers, which converts older names. DataError when one is missing."""
    source, state = spec.name, None
    if not is_on_hub(spec):
        path = weights_of(spec)
        source, state = str(path), read_weights(path)
    elif reason := why_not_on_hub(spec.name):
        raise not_here(spec.name, reason, local="path/to/folder")
    try:
        with _quiet(_transformers(spec.name)):
            net, loading_info = kind.from_pretrained(
                spec.name if state is None else None,
                state_dict=state,
                config=_library_config(config, spec.name),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except OSError as error:  # of the hub; a local file was read above
        raise not_here(spec.name, f"could not be loaded: {one_line(error)}", local="path/to/folder") from None
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise DataError(f"{source!r} is not a weight file that can be read: {one_line(error)}") from None
    backbone = _Adapted(net.float())
    own = set(backbone.net.state_dict())
    if missing := sorted(own & set(loading_info["missing_keys"])):
        raise OtherWeightsError(
            f"{source!r} does not hold `{spec.name}`: {len(missing)} of {len(own)} tensors are missing, the first is "
            f"{missing[0]}"
        )
    if others := sorted(own & {name for name, *_ in loading_info["mismatched_keys"]}):
        raise OtherWeightsError(f"{source!r} does not fit `{spec.name}`: {others[0]} has another shape")
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
    """Suppress the library's progress bars and load reports, which are checked by the caller."""
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


def _vit_of(config: dict[str, Any], name: str) -> tuple[ViTShape, Grid]:
    """Shape and patch grid of a plain ViT, with the defaults of Transformers' ViTConfig for missing entries."""
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
        rows, columns = (side // shape.patch for side in image_size(config) or (224, 224))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"the configuration of `{name}` is none of a ViT: {one_line(error)}") from None
    return shape, (rows, columns)


def input_needs(spec: HFBackbone) -> InputNeeds:
    """Input needs of the model and its weights."""
    return weights_needs(spec, size_multiple(spec), weights_statistics(spec), weights_framing(spec))


NETWORK = Network(build_hf, input_needs, described)
