"""From a ModelSpec to a classifier. Models see their spec, never the whole recipe."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from obverse.errors import RecipeError
from obverse.recipe import ConvNetBackbone, ModelSpec, OutputSpec, TimmBackbone, VGGBackbone

from .classifier import Classifier
from .convnet import ConvNet
from .fusion import FUSIONS, ConcatFusion, MeanFusion
from .head import build_head
from .timm_backbone import build_timm, require_known, size_multiple, weights_statistics
from .vgg import VGG

HALF = (0.5, 0.5, 0.5)
PLAIN = OutputSpec()


@dataclass(frozen=True)
class InputNeeds:
    """What a backbone asks of its input: sides in multiples of `multiple`, normalised by mean and std (0..1 units)."""

    multiple: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def input_needs(spec: ModelSpec) -> InputNeeds:
    """Ask the backbone; nothing is loaded."""
    backbone = spec.backbone
    if isinstance(backbone, TimmBackbone):
        require_known(backbone.name)
        mean, std = weights_statistics(backbone)
        return InputNeeds(size_multiple(backbone), mean, std)
    return InputNeeds(1, HALF, HALF)


def build_classifier(
    spec: ModelSpec,
    *,
    num_views: int,
    num_classes: int,
    height: int,
    width: int,
    load_weights: bool = True,
    output: OutputSpec = PLAIN,
) -> Classifier:
    """The classifier for pictures of (height, width); load_weights False skips pretrained weights.

    output: what the loss asks of the head.
    """
    num_backbones = num_views if spec.sharing == "separate" else 1
    backbones = [
        _build_backbone(spec, height=height, width=width, load_weights=load_weights) for _ in range(num_backbones)
    ]
    num_features = int(backbones[0].num_features)  # type: ignore[arg-type]
    fusion: ConcatFusion | MeanFusion = FUSIONS[spec.fusion.kind](num_views, num_features)
    head = build_head(spec.head, fusion.num_features, num_classes, output)
    return Classifier(backbones, fusion, head)


def _build_backbone(spec: ModelSpec, *, height: int, width: int, load_weights: bool) -> nn.Module:
    backbone = spec.backbone
    if isinstance(backbone, TimmBackbone):
        return build_timm(backbone, height=height, width=width, load_weights=load_weights)
    if isinstance(backbone, VGGBackbone):
        return VGG(backbone, height=height, width=width)
    if isinstance(backbone, ConvNetBackbone):
        return ConvNet(height=height, width=width, widths=backbone.widths)
    raise RecipeError("model.backbone is still `auto`: it is chosen when the data is known")
