"""Class and confidence of a picture, from the weight file alone: `python inference.py --image cat.png`.

The weight file is a bare state dict of timm's ViT, as the document wants it. A state dict names no classes, so a JSON
file of the same name stands beside it; where it is missing, say the classes with --classes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from obverse.bundle import read_bundle
from obverse.data import Geometry
from obverse.errors import DataError, ObverseError, RecipeError
from obverse.export import fold_output
from obverse.export.pth import load_safely
from obverse.imaging import read_picture
from obverse.recipe import ModelSpec, TimmBackbone

# Beside this file, so that it can be called from anywhere.
WEIGHTS = Path(__file__).parent / "models/vit_cifar10_finetuned.pth"
# What the weight file was trained with, where no JSON says it.
MODEL = "vit_base_patch16_224.augreg2_in21k_ft_in1k"
SIZE = 224
GEOMETRY = Geometry(SIZE, SIZE, SIZE, SIZE, "squash")
MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Description:
    """What a bare state dict does not say. options: of the model, for timm."""

    classes: tuple[str, ...]
    model: str = MODEL
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    geometry: Geometry = GEOMETRY
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD


def require_bare(model: ModelSpec) -> tuple[TimmBackbone, str]:
    """The backbone, and what timm calls its classifier; DataError when timm has no such network."""
    backbone = model.backbone
    if not isinstance(backbone, TimmBackbone) or model.head.hidden or model.view_heads:
        raise DataError("this is not one timm model with a linear head: only that is a bare state dict of timm")
    config = get_pretrained_cfg(backbone.name)
    if config is None or not isinstance(config.classifier, str):
        raise DataError(f"timm's {backbone.name} has not one linear classifier: only that is a bare state dict of timm")
    return backbone, config.classifier


def write_weights(run: Path, path: Path) -> None:
    """The weights of a finished run as timm names them, and their description beside them."""
    bundle, classifier = read_bundle(run)
    backbone, head = require_bare(bundle.model)
    if len(bundle.views) != 1 or bundle.columns or bundle.output.kind != "classes":
        raise DataError(f"{str(run)!r} is not a linear head on one picture: only that is a bare state dict of timm")
    _, weights = fold_output(bundle, classifier)  # whoever reads the file takes a plain softmax
    last = len(classifier.head) - 1
    renamed = {f"head.{last}.": f"{head}.", "backbones.0.": ""}
    state = {new + name.removeprefix(old): weights[name] for old, new in renamed.items() for name in weights
             if name.startswith(old)}  # fmt: skip
    told = Description(bundle.classes, backbone.name, backbone.options, bundle.geometry, bundle.mean, bundle.std)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    path.with_suffix(".json").write_text(json.dumps(asdict(told), indent=2) + "\n", encoding="utf-8")


def read_description(path: Path) -> Description:
    """What `write_weights` wrote beside the weights."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        geometry = Geometry(**values.pop("geometry"))
        return Description(geometry=geometry, **{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{str(path)!r} does not describe the weights beside it: {error}") from None


def read_weights(path: Path, classes: list[str] | None = None) -> tuple[Description, nn.Module]:
    """The description and the network in evaluation mode; `classes` where no JSON stands beside the file."""
    state = load_safely(path)
    beside = path.with_suffix(".json")
    if beside.is_file():
        told = read_description(beside)
    elif classes:
        told = Description(tuple(classes))
    else:
        raise RecipeError(f"{str(path)!r} names no classes and there is no {beside.name} beside it: "
                          "say them in label order, --classes airplane,automobile,...")  # fmt: skip
    network = build(told)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:200]
        raise DataError(f"{str(path)!r} does not fit {told.model} with {len(told.classes)} classes: {fault}") from None
    return told, network.eval()


def build(told: Description) -> nn.Module:
    """timm's network, which needs to know the size only where its weights depend on it."""
    config = get_pretrained_cfg(told.model)
    canvas = (told.geometry.canvas_height, told.geometry.canvas_width)
    size = {"img_size": canvas} if config and config.fixed_input_size else {}
    return timm.create_model(told.model, pretrained=False, num_classes=len(told.classes), **size, **told.options)


def predict(told: Description, network: nn.Module, picture: Path) -> tuple[str, float]:
    """The likeliest class and its softmax."""
    least_height, least_width = told.geometry.least_decode
    pixels = read_picture(picture, min_height=least_height, min_width=least_width)
    pixels_CHW = told.geometry.apply(pixels).float() / 255
    mean_C11, std_C11 = (torch.tensor(values).view(-1, 1, 1) for values in (told.mean, told.std))
    with torch.no_grad():
        probabilities_K = network(((pixels_CHW - mean_C11) / std_C11)[None]).softmax(1)[0]
    best = int(probabilities_K.argmax())
    return told.classes[best], float(probabilities_K[best])


def main() -> None:
    """Print class and confidence of every picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--image", nargs="+", required=True)
    parser.add_argument("--weights", default=WEIGHTS)
    parser.add_argument("--classes", help="class names in label order, with commas")
    arguments = parser.parse_args()
    told, network = read_weights(Path(arguments.weights), arguments.classes and arguments.classes.split(","))
    for image in arguments.image:
        name, probability = predict(told, network, Path(image))
        print(f"{image}\nClass: {name}\nConfidence: {probability:.2%}")


if __name__ == "__main__":
    try:
        main()
    except ObverseError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
