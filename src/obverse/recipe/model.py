"""What is trained: backbone, how views share it, fusion, head."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .spec import Fraction, PositiveInt, Spec

Channels = tuple[float, float, float]


class AutoBackbone(Spec):
    """Chosen from the data and the machine; the choice is written into the run's recipe."""

    kind: Literal["auto"] = "auto"

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights: not known yet."""
        return False


class TimmBackbone(Spec):
    """Any model of timm by its name.

    pretrained: `hub` downloads the weights of that name, `none` starts from scratch, anything else is a local weight
    file. options: passed to timm's constructor, for example `{pad_type: same}`. mean, std: what the weights expect,
    when it is not what timm's configuration of that name says.
    """

    kind: Literal["timm"] = "timm"
    name: str
    pretrained: str = "hub"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    drop_rate: Fraction = 0.0
    drop_path_rate: Fraction = 0.0
    mean: Channels | None = None
    std: Channels | None = None

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from random weights."""
        return self.pretrained == "none"


class ConvNetBackbone(Spec):
    """Obverse's small convnet for pictures of 32 to 160 pixels, from scratch.

    widths: the stem's channels, then one number per group; each group halves the map once.
    """

    kind: Literal["convnet"] = "convnet"
    widths: tuple[PositiveInt, ...] = (32, 64, 128)

    @property
    def is_scratch(self) -> bool:
        """Always: there are no weights to start from."""
        return True


class VGGBackbone(Spec):
    """The rectangular VGG-style network of requirement B3; the flattened size is computed, never typed."""

    kind: Literal["vgg"] = "vgg"
    num_blocks: Literal[4, 5, 6] = 5
    norm: Literal["none", "batch"] = "none"
    activation: Literal["relu", "leaky-relu"] = "relu"
    pool: Literal["flatten", "mean"] = "flatten"

    @property
    def is_scratch(self) -> bool:
        """Always: there are no weights to start from."""
        return True


Backbone = Annotated[AutoBackbone | TimmBackbone | ConvNetBackbone | VGGBackbone, Field(discriminator="kind")]


class ConcatFusion(Spec):
    """The views' features side by side; a missing view is a learned vector."""

    kind: Literal["concat"] = "concat"


class MeanFusion(Spec):
    """The mean over the views that are present."""

    kind: Literal["mean"] = "mean"


Fusion = Annotated[ConcatFusion | MeanFusion, Field(discriminator="kind")]


class HeadSpec(Spec):
    """Hidden layers with ReLU and dropout, then one linear layer to the classes; no hidden layers = linear head."""

    hidden: tuple[PositiveInt, ...] = ()
    dropout: Fraction = 0.0


class ModelSpec(Spec):
    """Backbone(s) -> features -> fusion -> head. A single view is simply V = 1."""

    backbone: Backbone = AutoBackbone()
    sharing: Literal["shared", "separate"] = "shared"
    fusion: Fusion = ConcatFusion()
    head: HeadSpec = HeadSpec()

    @model_validator(mode="after")
    def _mean_needs_comparable_features(self) -> Self:
        if self.fusion.kind == "mean" and self.sharing == "separate":
            raise ValueError("mean fusion needs `sharing: shared`: features of separate backbones are not comparable")
        return self
