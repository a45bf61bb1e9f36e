"""From a ModelSpec to a classifier. Models see their spec, never the whole recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from obverse.errors import RecipeError
from obverse.models.backbones.cct import CCT
from obverse.models.backbones.convnet import ConvNet
from obverse.models.backbones.vgg import VGG
from obverse.models.backbones.vit import build_vit, shape_of
from obverse.recipe import (
    CCTBackbone,
    ConvNetBackbone,
    HeadSpec,
    HFBackbone,
    ModelSpec,
    OutputSpec,
    TimmBackbone,
    TorchvisionBackbone,
    VGGBackbone,
    ViTBackbone,
)

from .backbones import hf_backbone, timm_backbone, torchvision_backbone
from .classifier import Classifier, feature_size
from .columns import ColumnEncoder
from .fusion import build_fusion
from .head import build_head
from .weights import hf_files

HALF = (0.5, 0.5, 0.5)
PLAIN = OutputSpec()


@dataclass(frozen=True)
class Interface:
    """What a model takes beside pictures, and what its head gives. column_sizes: as `ColumnEncoder` takes them."""

    output: OutputSpec = PLAIN
    column_sizes: tuple[int | None, ...] = ()


DEFAULT = Interface()


@dataclass(frozen=True)
class InputNeeds:
    """What a backbone asks of its input: sides in multiples of `multiple`, normalised by mean and std (0..1 units).

    size: (height, width) that pretrained weights know best, where they say it; crop_fraction: the middle of a picture
    that they were evaluated on.
    """

    multiple: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int] | None = None
    crop_fraction: float = 1.0


def input_needs(spec: ModelSpec) -> InputNeeds:
    """Ask the backbone; no weights are loaded."""
    library: Any
    match spec.backbone:
        case TimmBackbone() as backbone:
            timm_backbone.require_known(backbone.name)
            multiple, library = timm_backbone.size_multiple(backbone), timm_backbone
        case TorchvisionBackbone() as backbone:
            multiple, library = torchvision_backbone.size_multiple(backbone), torchvision_backbone
        case HFBackbone() as backbone:
            multiple, library = hf_backbone.size_multiple(backbone), hf_files
        case ViTBackbone() as vit:
            return InputNeeds(vit.patch, HALF, HALF)
        case VGGBackbone() as vgg:  # each block halves, and would drop what is left over
            return InputNeeds(2**vgg.num_blocks, HALF, HALF)
        case _:
            return InputNeeds(1, HALF, HALF)
    mean, std = library.weights_statistics(backbone)
    return InputNeeds(multiple, backbone.mean or mean, backbone.std or std, *library.weights_framing(backbone))


def pinned(spec: ModelSpec) -> ModelSpec:
    """The same, with everything said that decides the backbone and would otherwise be looked up: which weights of a
    name, and what lies beside them. RecipeError for an unknown name, UnavailableError when a description is not here.
    """
    match spec.backbone:
        case TimmBackbone() as backbone:
            return spec.changed({"backbone": timm_backbone.pinned(backbone)})
        case TorchvisionBackbone() as backbone:
            return spec.changed({"backbone": torchvision_backbone.pinned(backbone)})
        case HFBackbone() as backbone:
            return spec.changed({"backbone": hf_files.described(backbone)})
        case _:
            return spec


def build_classifier(
    spec: ModelSpec,
    *,
    num_views: int,
    num_classes: int,
    height: int,
    width: int,
    load_weights: bool = True,
    interface: Interface = DEFAULT,
) -> Classifier:
    """The classifier for pictures of (height, width); load_weights False skips pretrained weights."""
    num_backbones = num_views if spec.sharing == "separate" else 1
    backbones = [
        _build_backbone(spec, height=height, width=width, load_weights=load_weights) for _ in range(num_backbones)
    ]
    num_features = feature_size(backbones[0])
    fusion = build_fusion(spec.fusion, num_views=num_views, num_features=num_features)
    columns = ColumnEncoder(interface.column_sizes) if interface.column_sizes else None
    num_fused = int(fusion.num_features) + (columns.num_features if columns else 0)  # type: ignore[arg-type]
    head = build_head(spec.head, num_fused, num_classes, interface.output)
    num_view_heads = num_backbones if spec.view_heads else 0
    view_heads = [build_head(HeadSpec(), num_features, num_classes, interface.output) for _ in range(num_view_heads)]
    return Classifier(backbones, fusion, head, view_heads=view_heads, columns=columns)


def _build_backbone(spec: ModelSpec, *, height: int, width: int, load_weights: bool) -> nn.Module:
    match spec.backbone:
        case TimmBackbone() as timm:
            return timm_backbone.build_timm(timm, height=height, width=width, load_weights=load_weights)
        case TorchvisionBackbone() as tv:
            return torchvision_backbone.build_torchvision(tv, height=height, width=width, load_weights=load_weights)
        case HFBackbone() as hf:
            return hf_backbone.build_hf(hf, height=height, width=width, load_weights=load_weights)
        case ViTBackbone() as vit:
            return build_vit(
                shape_of(vit),
                height=height,
                width=width,
                drop_path_rate=vit.drop_path_rate,
                embed_drop_rate=vit.embed_drop_rate,
            )
        case CCTBackbone() as cct:
            return CCT(cct, height=height, width=width)
        case VGGBackbone() as vgg:
            return VGG(vgg, height=height, width=width)
        case ConvNetBackbone() as convnet:
            return ConvNet(height=height, width=width, widths=convnet.widths, mirrored=convnet.mirrored is True)
    raise RecipeError("model.backbone is still `auto`: it is chosen when the data is known")
