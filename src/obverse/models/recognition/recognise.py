"""Recognition of the network in a weight file, from the names and shapes of its tensors.

Every tensor of the network must be in the file in the same shape, and the file may hold no further layers. Classifier
and number of positions do not count. What is written about the file (its name, metadata, config.json beside it) decides
between networks of the same tensors. Then comes the catalogue, then
the model of timm with the most published weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torchvision.models as torchvision_models

from obverse.errors import DataError
from obverse.models.weights.vit_formats import timm_names, written_by
from obverse.models.weights.weight_files import IN_FOLDERS, State, find_weights, read_weights
from obverse.recipe import HFBackbone, TimmBackbone, TorchvisionBackbone

from .families import names_in_order, nearest
from .hints import Channels, Hints, read_hints
from .plain_vits import plain_vit
from .skeletons import compare, timm_shapes, torchvision_shapes
from .statistics import with_statistics
from .transformers_shapes import STATISTICS, config_of

# Beginning of the name of a tensor -> families of torchvision that have such tensors, and that are not built by timm.
TORCHVISION_LAYERS = {
    "Conv2d_1a": ("inception",),
    "features.": ("alexnet", "convnext", "densenet", "efficientnet", "mobilenet", "squeezenet", "swin", "vgg"),
    "inception3a.": ("googlenet",),
    "layers.0.weight": ("mnasnet",),
    "stage2.0.branch": ("shufflenet",),
    "stem.0.0.": ("maxvit",),
    "trunk_output.": ("regnet",),
}
# Depths of timm's plain ViTs.
USUAL_DEPTHS = (12, 24, 32)
Known = TimmBackbone | TorchvisionBackbone | HFBackbone


@dataclass(frozen=True)
class Recognised:
    """The network in a weight file."""

    backbone: Known
    """Its spec, with the file as weights, and with mean and std wherever they are known."""

    reason: str
    """Clause for the user: what it is, from what that follows, and what was assumed."""


def recognise(weights: str, *, mean: Channels | None = None, std: Channels | None = None) -> Recognised:
    """The network in a file or folder. mean, std: as the user says them.

    DataError when no network is recognised; the nearest are named. UnavailableError when there is no file.
    """
    path = find_weights(weights)
    file, hints = read_weights(path, "meta"), read_hints(path)
    given: dict[str, Any] = {"pretrained": weights, "mean": mean, "std": std}
    source = f"recognised from the {len(file)} tensors of {path.name!r}"
    if (described := _described(path, hints, given)) is not None:
        return Recognised(described, f"{described.name} (Transformers), as config.json beside {path.name!r} says")
    if (hf := _transformers(path, file, given)) is not None:
        assert hf.config is not None
        return Recognised(hf, f"a {hf.config['model_type']} (Transformers) with heads of 64, {source}")
    published = None if "architecture" in hints.config else _torchvision(path, file, given)
    if published is not None:
        return Recognised(published, f"{published.name} (torchvision), {source}")
    state = timm_names(file)
    if (network := _timm(state, hints)) is not None:
        backbone, origin = with_statistics(TimmBackbone(**given, **network), state, hints)
        return Recognised(backbone, f"{backbone.name} (timm), {source}{_listed(backbone.options)}; {origin}")
    raise DataError(
        f"{weights!r}: its network is not recognised{_near(state, hints)}; say which one with --model NAME, and "
        "options of its constructor with model.backbone.options"
    )


def likely(path: Path) -> str:
    """Clause that names the network in a file that does not fit the recipe; empty when none is recognised."""
    try:
        backbone = recognise(str(path), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).backbone
    except DataError:
        return ""
    prefix = "" if isinstance(backbone, TimmBackbone) else f"{backbone.kind}:"
    if isinstance(backbone, HFBackbone):
        return "; it looks like a model of Transformers: leave --model out, so that it is recognised"
    return f"; it looks like `{backbone.name}`: say --model {prefix}{backbone.name}"


def _described(path: Path, hints: Hints, given: dict[str, Any]) -> HFBackbone | None:
    """A model of Transformers, by the config.json of its folder."""
    if not isinstance(hints.config.get("model_type"), str) or "architecture" in hints.config:
        return None
    is_of_folder = path.name in IN_FOLDERS or Path(given["pretrained"]).expanduser().is_dir()
    return HFBackbone(name=path.parent.name, **given) if is_of_folder else None


def _transformers(path: Path, file: State, given: dict[str, Any]) -> HFBackbone | None:
    """A ViT or DINOv2 of Transformers without a config.json."""
    config = config_of(file) if written_by(file) == "transformers" else None
    if config is None:
        return None
    statistics = STATISTICS if config["model_type"] != "vit" else {}
    own = {key: given[key] or statistics.get(key) for key in ("mean", "std")}
    return HFBackbone(name=path.stem, config=config, **(given | own))


def _torchvision(path: Path, file: State, given: dict[str, Any]) -> TorchvisionBackbone | None:
    """A model of torchvision, by the name of its published file, or by names of tensors that timm's models do not have.

    A ResNet has the same tensors in both libraries: without the published name it is timm's.
    """
    for name in _torchvision_names(path, file):
        shapes = torchvision_shapes(name)
        if shapes is not None and compare(file, shapes).is_exact:
            return TorchvisionBackbone(name=name, **given)
    return None


def _torchvision_names(path: Path, file: State) -> Iterator[str]:
    names = torchvision_models.list_models(module=torchvision_models)
    for name in names:
        weights = torchvision_models.get_model_weights(name)
        yield from (f"{name}.{entry.name}" for entry in weights if Path(entry.url).name == path.name)
    if written_by(file) == "torchvision":
        yield from (name for name in names if name.startswith("vit_"))
    for layer, families in TORCHVISION_LAYERS.items():
        if any(name.startswith(layer) for name in file):
            yield from (name for name in names if name.startswith(families))


def _timm(state: State, hints: Hints) -> dict[str, Any] | None:
    """Name and options of the timm model with exactly these tensors."""
    plain = plain_vit(state)
    if plain is not None and plain["options"]["depth"] not in USUAL_DEPTHS:
        return plain
    for name in names_in_order(state, hints.names):
        for options in (hints.options, {}) if hints.options else ({},):
            shapes = timm_shapes(name, tuple(options.items()))
            if shapes is not None and compare(state, shapes).is_exact:
                return {"name": name, "options": options}
    return plain


def _near(state: State, hints: Hints) -> str:
    """Clause with the names whose tensors are most alike."""
    near = nearest(state, hints.names)
    named = [f"{name} ({share:.0%} of the tensors)" for share, name in near[:3] if share]
    return f"; the nearest of timm are {', '.join(named)}" if named else ""


def _listed(options: dict[str, Any]) -> str:
    return f" with {', '.join(f'{key} {value}' for key, value in options.items())}" if options else ""
