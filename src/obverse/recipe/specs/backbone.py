"""What looks at a picture: one spec for each kind of backbone. How views share it, fusion and head are in model.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from obverse.recipe.options import (
    CONFIG_IGNORED,
    MAX_LAYERS,
    MAX_NUMBER,
    TIMM_OPTIONS,
    TORCHVISION_OPTIONS,
    require_config,
    require_options,
)

from .spec import Fraction, PositiveFloat, Spec

Layers = Annotated[int, Field(gt=0, le=MAX_LAYERS)]
Width = Annotated[int, Field(gt=0, le=MAX_NUMBER)]
Ratio = Annotated[PositiveFloat, Field(le=1024)]
Channels = tuple[float, float, float]
Options = dict[str, bool | int | float | str]

# Short names for timm's models; the tag says which weights, because timm's default tag of a name may change.
ALIASES = {
    "vit-tiny": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "vit-small": "vit_small_patch16_224.augreg_in21k_ft_in1k",
    "vit-base": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "vit-large": "vit_large_patch16_224.augreg_in21k_ft_in1k",
    "resnet-18": "resnet18.a1_in1k",
    "resnet-50": "resnet50.a1_in1k",
}


def _without_alias(name: str) -> str:
    return ALIASES.get(name, name)


class FromScratch(Spec):
    """A backbone for which there are no weights."""

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights."""
        return True


class WithWeights(Spec):
    """A backbone that may start from weights.

    pretrained: `hub` downloads the weights of the name, `none` starts from scratch, anything else is a local weight
    file or folder. mean, std: what the weights expect, when it is not what their own configuration says.
    """

    kind: str
    name: str
    pretrained: str = "hub"
    mean: Channels | None = None
    std: Channels | None = None

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights."""
        return self.pretrained == "none"


class AutoBackbone(Spec):
    """Chosen from the data and the machine; the choice is written into the run's recipe."""

    kind: Literal["auto"] = "auto"

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights: not known yet."""
        return False


class TimmBackbone(WithWeights):
    """Any model of timm by its name, or by one of ALIASES.

    options: passed to timm's constructor, for example `{pad_type: same}`; those that decide the architecture.
    """

    kind: Literal["timm"] = "timm"
    name: Annotated[str, AfterValidator(_without_alias)]
    options: Options = Field(default_factory=dict)
    drop_rate: Fraction = 0.0
    drop_path_rate: Fraction = 0.0

    @model_validator(mode="after")
    def _options_are_of_the_architecture(self) -> Self:
        require_options(self.options, TIMM_OPTIONS, "timm")
        return self


class TorchvisionBackbone(WithWeights):
    """Any classification model of torchvision by its name, which may say which weights: `resnet50.IMAGENET1K_V2`.

    options: passed to torchvision's constructor; those that decide the architecture.
    """

    kind: Literal["torchvision"] = "torchvision"
    options: Options = Field(default_factory=dict)

    @model_validator(mode="after")
    def _options_are_of_the_architecture(self) -> Self:
        require_options(self.options, TORCHVISION_OPTIONS, "torchvision")
        return self


class HFBackbone(WithWeights):
    """An image model of Hugging Face Transformers: a name on the hub, or a local folder with config.json and weights.

    pretrained: `hub`: the weights that come with the name. config: the content of config.json; it is read where it is
    not given, and written into the run's recipe.
    """

    kind: Literal["hf"] = "hf"
    config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _config_is_in_bounds(self) -> Self:
        require_config({key: value for key, value in (self.config or {}).items() if key not in CONFIG_IGNORED})
        return self


class ViTBackbone(FromScratch):
    """A plain vision transformer (Dosovitskiy et al. 2020) of any size; the defaults are ViT-B/16.

    width: of a token. mlp_ratio: hidden units of the MLP per unit of width. embed_drop_rate: dropout after the position
    embedding; dropout before the classes is `model.head.dropout`.
    """

    kind: Literal["vit"] = "vit"
    patch: Width = 16
    width: Width = 768
    depth: Layers = 12
    heads: Width = 12
    mlp_ratio: Ratio = 4.0
    drop_path_rate: Fraction = 0.0
    embed_drop_rate: Fraction = 0.0

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        _require_whole_heads(self.width, self.heads)
        return self


class CCTBackbone(FromScratch):
    """A compact convolutional transformer (Hassani et al. 2021); the defaults are CCT-7/3x1.

    CCT-2/3x2 is `{depth: 2, width: 128, heads: 2, mlp_ratio: 1, num_convs: 2}`. kernel: of the convolutions that make
    the tokens.
    """

    kind: Literal["cct"] = "cct"
    depth: Layers = 7
    width: Width = 256
    heads: Width = 4
    mlp_ratio: Ratio = 2.0
    num_convs: Annotated[int, Field(gt=0, le=16)] = 1
    kernel: Annotated[int, Field(ge=3, le=63)] = 3
    drop_path_rate: Fraction = 0.1

    @model_validator(mode="after")
    def _is_buildable(self) -> Self:
        _require_whole_heads(self.width, self.heads)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}, so that a convolution keeps the size")
        return self


class ConvNetBackbone(FromScratch):
    """Obverse's small convnet for pictures of 32 to 160 pixels, from scratch.

    widths: the stem's channels, then one number per group; each group halves the map once. mirrored: outside training,
    features are the mean of those of the picture and of its mirror image, at twice the cost; `auto` is on where
    training mirrors pictures.
    """

    kind: Literal["convnet"] = "convnet"
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (32, 64, 128)
    mirrored: Literal["auto"] | bool = "auto"


class VGGBackbone(FromScratch):
    """The rectangular VGG-style network of the rectangular coin document; the flattened size is computed, never typed.

    residual: a 1x1 convolution of what enters a block is added to what leaves it (He et al. 2015, projection).
    """

    kind: Literal["vgg"] = "vgg"
    num_blocks: Literal[4, 5, 6] = 5
    norm: Literal["none", "batch"] = "none"
    activation: Literal["relu", "leaky-relu"] = "relu"
    pool: Literal["flatten", "mean"] = "flatten"
    residual: bool = False


def _require_whole_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"width {width} cannot be shared by {heads} heads; take a multiple of {heads}")


Backbone = Annotated[
    AutoBackbone
    | TimmBackbone
    | TorchvisionBackbone
    | HFBackbone
    | ViTBackbone
    | CCTBackbone
    | ConvNetBackbone
    | VGGBackbone,
    Field(discriminator="kind"),
]
