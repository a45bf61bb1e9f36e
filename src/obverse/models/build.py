"""Construction of a classifier from a ModelSpec. Models see their spec, never the whole recipe."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from obverse.errors import RecipeError
from obverse.recipe import (
    AutoBackbone,
    AverageFusion,
    Backbone,
    HeadSpec,
    ModelSpec,
    OutputSpec,
    WithWeights,
    licence_sentence,
)

from .backbones.network import InputNeeds, network_of
from .classifier import Classifier, feature_size
from .columns import ColumnEncoder
from .fusion import build_fusion
from .head import HeadPerView, build_head
from .weights.weight_files import OtherWeightsError, find_weights

PLAIN = OutputSpec()


@dataclass(frozen=True)
class Interface:
    """Outputs and further inputs of a model."""

    output: OutputSpec = PLAIN
    """Meaning of the head's outputs."""

    column_sizes: tuple[int | None, ...] = ()
    """Extra columns: number of values of each category, None for a number."""


DEFAULT = Interface()


def input_needs(spec: ModelSpec) -> InputNeeds:
    """Input needs of the model's backbone; no weights are loaded."""
    backbone = spec.backbone
    return InputNeeds() if isinstance(backbone, AutoBackbone) else network_of(backbone).input_needs(backbone)


def pinned(spec: ModelSpec) -> ModelSpec:
    """The spec completed by everything about the backbone that would be looked up, such as the weights of a name.

    RecipeError for an unknown name, UnavailableError when a description of the weights is not available.
    """
    backbone = spec.backbone
    if isinstance(backbone, AutoBackbone):
        return spec
    whole = network_of(backbone).pinned(backbone)
    return spec if whole is backbone else spec.changed({"backbone": whole})


def weights_licence(backbone: Backbone) -> str:
    """Identifier of the licence of a backbone's pretrained weights; empty where nothing says it or there are none."""
    if isinstance(backbone, AutoBackbone) or backbone.is_scratch:
        return ""
    return network_of(backbone).licence(backbone)


def licence_note(backbone: Backbone) -> str:
    """Sentence on a licence that restricts the use of a backbone's pretrained weights; empty where none does."""
    return licence_sentence(getattr(backbone, "name", backbone.kind), weights_licence(backbone))


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
    num_columns = columns.num_features if columns else 0
    head: nn.Module
    if isinstance(spec.fusion, AverageFusion):
        heads = [
            build_head(spec.head, num_features + num_columns, num_classes, interface.output) for _ in range(num_views)
        ]
        head = HeadPerView(heads, num_features)
    else:
        num_fused = int(fusion.num_features) + num_columns  # type: ignore[arg-type]
        head = build_head(spec.head, num_fused, num_classes, interface.output)
    num_view_heads = num_backbones if spec.view_heads else 0
    view_heads = [build_head(HeadSpec(), num_features, num_classes, interface.output) for _ in range(num_view_heads)]
    return Classifier(backbones, fusion, head, view_heads=view_heads, columns=columns)


def _build_backbone(spec: ModelSpec, *, height: int, width: int, load_weights: bool) -> nn.Module:
    backbone = spec.backbone
    if isinstance(backbone, AutoBackbone):
        raise RecipeError("model.backbone is still `auto`: it is chosen when the data is known")
    try:
        return network_of(backbone).build(backbone, height=height, width=width, load_weights=load_weights)
    except OtherWeightsError as error:
        if not isinstance(backbone, WithWeights) or backbone.pretrained == "hub":
            raise
        from .recognition import likely

        raise OtherWeightsError(f"{error}{likely(find_weights(backbone.pretrained))}") from None
