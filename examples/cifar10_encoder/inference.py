"""Class and confidence of a picture, from the weight file alone: `python inference.py --image cat.png`.

The weight file is a bare state dict of timm's ViT, as the document wants it. A state dict names no classes, so a JSON
file of the same name stands beside it; where it is missing, say the classes with --classes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import nn

from obverse.bundle import read_bundle
from obverse.data import Geometry
from obverse.errors import DataError, ObverseError, RecipeError
from obverse.export.pth import load_safely
from obverse.imaging import read_picture
from obverse.recipe import TimmBackbone

WEIGHTS = "models/vit_cifar10_finetuned.pth"
# What the weight file was trained with, where no JSON says it.
MODEL = "vit_base_patch16_224.augreg2_in21k_ft_in1k"
SIZE = 224
MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Description:
    """What a bare state dict does not say. size: (height, width)."""

    classes: tuple[str, ...]
    model: str = MODEL
    size: tuple[int, int] = (SIZE, SIZE)
    fit: str = "squash"
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD


def write_weights(run: Path, path: Path) -> None:
    """The weights of a finished run as timm names them, and their description beside them."""
    bundle, classifier = read_bundle(run)
    backbone = bundle.model.backbone
    if not isinstance(backbone, TimmBackbone) or len(classifier.head) != 1 or len(bundle.views) != 1:
        raise DataError(
            f"{str(run)!r} is not one timm model with a linear head: only that is a bare state dict of timm"
        )
    state = {f"head.{name}": tensor for name, tensor in classifier.head[0].state_dict().items()}
    state |= classifier.backbones[0].state_dict()
    size = (bundle.geometry.canvas_height, bundle.geometry.canvas_width)
    told = Description(bundle.classes, backbone.name, size, bundle.geometry.fit, bundle.mean, bundle.std)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    path.with_suffix(".json").write_text(json.dumps(vars(told), indent=2) + "\n", encoding="utf-8")


def read_weights(path: Path, classes: list[str] | None = None) -> tuple[Description, nn.Module]:
    """The description and the network in evaluation mode; `classes` where no JSON stands beside the file."""
    state = load_safely(path)
    beside = path.with_suffix(".json")
    if beside.is_file():
        values = json.loads(beside.read_text(encoding="utf-8"))
        told = Description(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    elif classes:
        told = Description(tuple(classes))
    else:
        raise RecipeError(f"{str(path)!r} names no classes and there is no {beside.name} beside it: "
                          "say them in label order, --classes airplane,automobile,...")  # fmt: skip
    network = timm.create_model(told.model, pretrained=False, num_classes=len(told.classes), img_size=told.size)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:200]
        raise DataError(f"{str(path)!r} does not fit {told.model} with {len(told.classes)} classes: {fault}") from None
    return told, network.eval()


def predict(told: Description, network: nn.Module, picture: Path) -> tuple[str, float]:
    """The likeliest class and its softmax."""
    height, width = told.size
    geometry = Geometry(height, width, height, width, told.fit)
    pixels_CHW = geometry.apply(read_picture(picture)).float() / 255
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
