"""What looks at a picture: one spec for each kind of backbone. How views share it, fusion and head are in model.py."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from obverse.recipe.catalogue import ALIASES
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


def _without_alias(name: str) -> str:
    return ALIASES.get(name, name)


class FromScratch(Spec):
    """A backbone for which there are no weights."""

    network: ClassVar[str]
    """File of `obverse/models/backbones/` that builds it."""

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights."""
        return True


class WithWeights(Spec):
    """A backbone that may start from pretrained weights."""

    network: ClassVar[str]
    """File of `obverse/models/backbones/` that builds it."""

    kind: str
    """Library that the backbone comes from."""

    name: str
    """Name of the model in its library, for example `resnet50`."""

    pretrained: str = "hub"
    """Where the weights come from. `hub` downloads the weights of `name`, `none` starts from random weights, anything
    else is the path of a weight file or folder on this machine (.safetensors, .pth, .pt, .bin)."""

    mean: Channels | None = None
    """Mean of each colour channel (red, green, blue; pixels from 0 to 1) that the weights expect. `null`: as the
    configuration of the weights says."""

    std: Channels | None = None
    """Standard deviation of each colour channel (red, green, blue; pixels from 0 to 1) that the weights expect. `null`:
    as the configuration of the weights says."""

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights."""
        return self.pretrained == "none"


class AutoBackbone(Spec):
    """A backbone chosen from the data and the machine; the choice is written into the run's recipe."""

    kind: Literal["auto"] = "auto"
    """`auto` is the network in `pretrained` where that is a file or folder, which is recognised. Otherwise it is
    `convnet` for pictures with a shorter side of up to 64 pixels (median), and for larger ones the first backbone of
    the catalogue for the machine whose weights can be had; `convnet` where none can. Where several can be had without a
    download, `obverse train` compares them on the data and takes the best."""

    pretrained: str | tuple[str, ...] = "hub"
    """Where the weights come from. `hub`: see `kind`. `none` starts from random weights; anything else is the path of a
    weight file or folder on this machine (.safetensors, .pth, .pt, .bin), whose network is recognised. Several, as a
    list or as a folder of files, are compared by `obverse train`."""

    mean: Channels | None = None
    """Mean of each colour channel (red, green, blue; pixels from 0 to 1) that a weight file expects. `null`: as is
    written in it or beside it, or as timm says of that network."""

    std: Channels | None = None
    """Standard deviation of each colour channel (red, green, blue; pixels from 0 to 1) that a weight file expects.
    `null`: as is written in it or beside it, or as timm says of that network."""

    @property
    def files(self) -> tuple[str, ...]:
        """The weight files and folders that are named."""
        if isinstance(self.pretrained, tuple):
            return self.pretrained
        return () if self.pretrained in ("hub", "none") else (self.pretrained,)

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights; without a file, that is not known yet."""
        return self.pretrained == "none"

    @model_validator(mode="after")
    def _statistics_are_of_a_file(self) -> Self:
        if (self.mean or self.std) and not self.files:
            raise ValueError("mean and std of kind auto need the weight file that they belong to, as pretrained")
        return self


class TimmBackbone(WithWeights):
    """Any image model of timm."""

    network: ClassVar[str] = "timm_backbone"
    kind: Literal["timm"] = "timm"
    """`timm` selects a model of timm."""

    name: Annotated[str, AfterValidator(_without_alias)]
    """Name of the model in timm, for example `resnet18.a1_in1k`, or a short name such as `resnet-50` or `vit-small`.
    Without a tag (the part behind the dot) it gets the one that timm takes today, and the run's recipe names it."""

    options: Options = Field(default_factory=dict)
    """Arguments of timm's constructor that decide the architecture, for example `{pad_type: same}`."""

    drop_rate: Fraction = 0.0
    """Dropout probability before the classifier, where the model has it."""

    drop_path_rate: Fraction = 0.0
    """Probability that a residual branch is dropped in training (stochastic depth, Huang et al. 2016), where the model
    has it."""

    @model_validator(mode="after")
    def _options_are_of_the_architecture(self) -> Self:
        require_options(self.options, TIMM_OPTIONS, "timm")
        return self


class TorchvisionBackbone(WithWeights):
    """Any classification model of torchvision."""

    network: ClassVar[str] = "torchvision_backbone"
    kind: Literal["torchvision"] = "torchvision"
    """`torchvision` selects a model of torchvision."""

    options: Options = Field(default_factory=dict)
    """Arguments of torchvision's constructor that decide the architecture."""

    @model_validator(mode="after")
    def _options_are_of_the_architecture(self) -> Self:
        require_options(self.options, TORCHVISION_OPTIONS, "torchvision")
        return self


class HFBackbone(WithWeights):
    """An image classifier of Hugging Face Transformers."""

    network: ClassVar[str] = "hf_backbone"
    kind: Literal["hf"] = "hf"
    """`hf` selects a model of Transformers: `name` is a name on the hub, or a local folder with config.json and
    weights."""

    name: str
    """Name of the model on the hub, for example `google/vit-base-patch16-224`, or a local folder."""

    config: dict[str, Any] | None = None
    """Content of the model's config.json. Where it is not given it is read and written into the run's recipe, so that a
    repeated run does not need the hub."""

    @model_validator(mode="after")
    def _config_is_in_bounds(self) -> Self:
        require_config({key: value for key, value in (self.config or {}).items() if key not in CONFIG_IGNORED})
        return self


class ViTBackbone(FromScratch):
    """A plain vision transformer of any size, from scratch (Dosovitskiy et al. 2020); the defaults are ViT-B/16.

    Dropout before the classes is `model.head.dropout`.
    """

    network: ClassVar[str] = "vit"
    kind: Literal["vit"] = "vit"
    """`vit` selects the plain vision transformer."""

    patch: Width = 16
    """Side of a patch in pixels; the picture is padded to a multiple of it."""

    width: Width = 768
    """Numbers per token; a multiple of `heads`. ViT-Ti has 192, ViT-S 384, ViT-B 768."""

    depth: Layers = 12
    """Number of transformer layers."""

    heads: Width = 12
    """Attention heads per layer."""

    mlp_ratio: Ratio = 4.0
    """Hidden units of each layer's MLP per unit of `width`."""

    drop_path_rate: Fraction = 0.0
    """Probability that a residual branch is dropped in training (stochastic depth, Huang et al. 2016); it rises
    linearly from 0 in the first layer to this in the last."""

    embed_drop_rate: Fraction = 0.0
    """Dropout probability after the position embedding."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        _require_whole_heads(self.width, self.heads)
        return self


class CCTBackbone(FromScratch):
    """A compact convolutional transformer, from scratch (Hassani et al. 2021); the defaults are CCT-7/3x1.

    CCT-2/3x2 is `{depth: 2, width: 128, heads: 2, mlp_ratio: 1, num_convs: 2}`.
    """

    network: ClassVar[str] = "cct"
    kind: Literal["cct"] = "cct"
    """`cct` selects the compact convolutional transformer."""

    depth: Layers = 7
    """Number of transformer layers."""

    width: Width = 256
    """Numbers per token; a multiple of `heads`."""

    heads: Width = 4
    """Attention heads per layer."""

    mlp_ratio: Ratio = 2.0
    """Hidden units of each layer's MLP per unit of `width`."""

    num_convs: Annotated[int, Field(gt=0, le=16)] = 1
    """Number of convolutions that make the tokens; each one, with its pooling, halves the map."""

    kernel: Annotated[int, Field(ge=3, le=63)] = 3
    """Side of these convolutions' kernels in pixels; odd, so that a convolution keeps the size."""

    drop_path_rate: Fraction = 0.1
    """Probability that a residual branch is dropped in training (stochastic depth, Huang et al. 2016); it rises
    linearly from 0 in the first layer to this in the last."""

    @model_validator(mode="after")
    def _is_buildable(self) -> Self:
        _require_whole_heads(self.width, self.heads)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, not {self.kernel}, so that a convolution keeps the size")
        return self


class ConvNetBackbone(FromScratch):
    """Obverse's small convnet for pictures of 32 to 160 pixels, from scratch."""

    network: ClassVar[str] = "convnet"
    kind: Literal["convnet"] = "convnet"
    """`convnet` selects the small convnet."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (32, 64, 128)
    """Channels of the stem, then of each group of convolutions; each group halves the map once. Twice the channels cost
    about four times the time."""

    mirrored: Literal["auto"] | bool = "auto"
    """Whether features outside training are the mean of those of the picture and of its mirror image, at twice the
    cost. `auto` is on where training mirrors pictures: there it is worth about a point of accuracy."""


class VGGBackbone(FromScratch):
    """A rectangular VGG-style network for 2:1 pictures, from scratch; the flattened size is computed from the input
    size.
    """

    network: ClassVar[str] = "vgg"
    kind: Literal["vgg"] = "vgg"
    """`vgg` selects the VGG-style network."""

    num_blocks: Literal[4, 5, 6] = 5
    """Number of convolution blocks; each halves the map."""

    norm: Literal["none", "batch"] = "none"
    """Normalisation after each convolution: `batch` norm or `none`."""

    activation: Literal["relu", "leaky-relu"] = "relu"
    """Nonlinearity after each convolution."""

    pool: Literal["flatten", "mean"] = "flatten"
    """How the last map becomes one vector: `flatten` keeps every place, `mean` averages over places."""

    residual: bool = False
    """Whether each block adds a 1x1 convolution of its input to its output (He et al. 2015, projection shortcut)."""


def _require_whole_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"width {width} cannot be shared by {heads} heads; take a multiple of {heads}")


# fmt: off
FixedBackbone = (
    TimmBackbone
    | TorchvisionBackbone
    | HFBackbone
    | ViTBackbone
    | CCTBackbone
    | VGGBackbone
)
# fmt: on
"""Every backbone in whose spec nothing can be `auto`."""

Backbone = Annotated[AutoBackbone | FixedBackbone | ConvNetBackbone, Field(discriminator="kind")]
