"""Families of timm that a file may belong to, and the order in which their models are compared."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from timm.models import get_pretrained_cfg, list_models, list_pretrained, model_entrypoint

from obverse.models.weights.weight_files import State
from obverse.recipe import CATALOGUE

from .skeletons import compare, timm_shapes

# A tensor that is typical of a family -> modules of timm; the first row of which the file has a tensor counts.
MARKERS = (
    (r"dist_token$", ("deit",)),
    (r"blocks\.\d+\.proj\.weight$", ("hiera", "mvitv2")),
    (r"blocks\.0\.(?:gamma_1|attn\.(?:q_proj|q_norm|rope|inner_attn_ln))", ("eva", "beit", "vision_transformer")),
    (r"blocks\.0\.attn\.(?:rel_pos|relative_position)", ("vision_transformer_relpos", "beit")),
    (r"blocks\.0\.attn\.qkv\.weight$", ("vision_transformer", "deit", "eva", "vision_transformer_hybrid", "cait")),
    (r"layer1\.0\.conv1\.weight$", ("resnet", "sknet", "resnest", "senet", "res2net")),
    (r"s1\.b1\.conv1\.", ("regnet",)),
    (r"conv_head\.bias$", ("mobilenetv3", "hardcorenas")),
    (r"blocks\.0\.0\.", ("efficientnet", "mobilenetv3")),
    (r"stages\.0\.blocks\.0\.conv_dw\.weight$", ("convnext", "inception_next")),
    (r"layers\.0\.blocks\.0\.attn\.", ("swin_transformer", "swin_transformer_v2")),
)
# Words for the widths of plain ViTs.
SIZE_WORDS = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
# Further modules that are searched, by the words in their source.
NUM_FURTHER = 2


def names_in_order(file: State, hints: tuple[str, ...]) -> Iterator[str]:
    """Names of timm to compare: those written about the file, the catalogue's, then all of the likely modules."""
    yield from hints
    seen = set(hints)
    modules = [*dict.fromkeys([*_marked(file), *_alike(file)])]
    listed = [name for module in modules for name in modules_of_timm()[module]]
    catalogued = dict.fromkeys(entry.name.partition(".")[0] for entry in CATALOGUE)
    yield from (name for name in catalogued if name in listed and name not in seen)
    seen |= catalogued.keys()
    word, num_tags = SIZE_WORDS.get(_width(file), ""), _num_tags()
    for module in modules:
        fitting = [name for name in modules_of_timm()[module] if name not in seen and _may_fit(name, file)]
        # A model with many published weights is the more likely one. Those of TensorFlow pad otherwise: last.
        yield from sorted(fitting, key=lambda name: (name[:3] == "tf_", word not in name, -num_tags[name], len(name)))


def _marked(file: State) -> tuple[str, ...]:
    """Modules of timm by the MARKERS."""
    rows = (modules for marker, modules in MARKERS if any(re.match(marker, name) for name in file))
    return next(rows, ())


def _alike(file: State) -> list[str]:
    """Modules of timm whose source assigns most of the words in the tensors' names, the best first."""
    words = {word for name in file for word in name.split(".")[:-1] if not word.isdigit()}
    num_words = {module: sum(f"self.{word} " in text for word in words) for module, text in _sources().items()}
    return sorted(num_words, key=lambda module: -num_words[module])[:NUM_FURTHER]


def _may_fit(name: str, file: State) -> bool:
    """Whether the file has the first convolution and the classifier, if any, under the model's names for them."""
    config = get_pretrained_cfg(name)
    patch, side = re.search(r"patch(\d+)", name), _patch(file)
    if patch is not None and side is not None and int(patch[1]) != side:
        return False
    if config is None or not config.first_conv:
        return True
    first = [config.first_conv] if isinstance(config.first_conv, str) else config.first_conv
    return all(f"{layer}.weight" in file for layer in first)


@cache
def modules_of_timm() -> dict[str, tuple[str, ...]]:
    """Module of timm -> names of its models."""
    modules: dict[str, list[str]] = {}
    for name in list_models():
        modules.setdefault(_module(name).rpartition(".")[2], []).append(name)
    return {module: tuple(names) for module, names in modules.items()}


def nearest(file: State, hints: tuple[str, ...]) -> list[tuple[float, str]]:
    """Names with the share of tensors that agree, the best first."""
    names = names_in_order(file, hints)
    shares = [(compare(file, shapes).likeness, name) for name in names if (shapes := timm_shapes(name))]
    return sorted(shares, key=lambda pair: -pair[0])


@cache
def _num_tags() -> Counter[str]:
    """Name of a timm model -> number of its published weights."""
    return Counter(name.partition(".")[0] for name in list_pretrained())


@cache
def _sources() -> dict[str, str]:
    """Module of timm -> its source."""
    paths = {module: sys.modules[_module(names[0])].__file__ for module, names in modules_of_timm().items()}
    return {module: Path(path).read_text(encoding="utf-8") for module, path in paths.items() if path}


def _module(name: str) -> str:
    return str(model_entrypoint(name).__module__)


def _patch(file: State) -> int | None:
    kernel = file.get("patch_embed.proj.weight")
    return int(kernel.shape[-1]) if kernel is not None and kernel.ndim == 4 else None


def _width(file: State) -> int:
    kernel = file.get("patch_embed.proj.weight")
    return int(kernel.shape[0]) if kernel is not None else 0
