"""The VGG-style rectangular network of the rectangular coin document (after Simonyan & Zisserman 2014), from sizes.

Blocks of 2, 2, 3, 3, 2 convolutions (3x3) with 64, 128, 256, 512, 512 channels, each followed by 2x2 max-pooling; a
sixth block has 2 convolutions of 512. On request a 1x1 convolution leads past every block (He et al. 2015).
At 512x256 (width x height), 10 classes and the document's head this is 148,683,082 parameters; four blocks have
546.6 M, six 52.7 M, because the flattened map shrinks with every block.
"""

from __future__ import annotations

import torch
from torch import nn

from obverse.errors import RecipeError
from obverse.recipe import VGGBackbone

from .network import InputNeeds, Network
from .staged import Staged

CONVS = (2, 2, 3, 3, 2, 2)
CHANNELS = (64, 128, 256, 512, 512, 512)


class VGG(Staged):
    """Pictures of one size (height, width) to `num_features` features: the flattened map, or its mean over places."""

    def __init__(self, spec: VGGBackbone, *, height: int, width: int) -> None:
        super().__init__()
        shrink = 2**spec.num_blocks
        if min(height, width) < shrink:
            raise RecipeError(
                f"model.backbone: {spec.num_blocks} blocks halve a picture of {width}x{height} (width x height) to "
                f"nothing; use at least {shrink} pixels or fewer blocks"
            )
        layers: list[nn.Module] = []
        channels = 3
        self.stage_of = []
        for block in range(spec.num_blocks):
            convs: list[nn.Module] = []
            before = channels
            for _ in range(CONVS[block]):
                convs += _conv(channels, CHANNELS[block], spec)
                channels = CHANNELS[block]
            layers += [_Residual(convs, before, channels)] if spec.residual else convs
            layers.append(nn.MaxPool2d(2))
            self.stage_of += [block] * (len(layers) - len(self.stage_of))
        layers.append(nn.Flatten() if spec.pool == "flatten" else _MeanPool())
        self.layers = nn.Sequential(*layers)
        places = (height // shrink) * (width // shrink) if spec.pool == "flatten" else 1
        self.num_features = channels * places

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Features (B, num_features)."""
        return self.forward_features(images_BCHW)


class _Residual(nn.Module):
    """A block's convolutions and, beside them, one of 1x1 that joins before the last activation."""

    def __init__(self, convs: list[nn.Module], channels_in: int, channels_out: int) -> None:
        super().__init__()
        *body, last = convs
        self.body, self.activation = nn.Sequential(*body), last
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1)
        # The sum then has the variance that the body alone had.
        nn.init.kaiming_normal_(self.shortcut.weight, mode="fan_out", nonlinearity="linear")
        nn.init.zeros_(self.shortcut.bias)  # type: ignore[arg-type]

    def forward(self, map_BCHW: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = self.activation(self.body(map_BCHW) + self.shortcut(map_BCHW))
        return summed


class _MeanPool(nn.Module):
    def forward(self, map_BCHW: torch.Tensor) -> torch.Tensor:
        return map_BCHW.mean((2, 3))


def _conv(channels_in: int, channels_out: int, spec: VGGBackbone) -> list[nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    leaky = spec.activation == "leaky-relu"
    # He et al. 2015: torch's default initialisation starves a net this deep without normalisation.
    nn.init.kaiming_normal_(conv.weight, a=0.2 if leaky else 0.0, mode="fan_out")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    norm = [nn.BatchNorm2d(channels_out)] if spec.norm == "batch" else []
    return [conv, *norm, nn.LeakyReLU(0.2, inplace=True) if leaky else nn.ReLU(inplace=True)]


def build(spec: VGGBackbone, /, *, height: int, width: int, load_weights: bool) -> nn.Module:
    """The network with random weights; there are no pretrained ones."""
    return VGG(spec, height=height, width=width)


def input_needs(spec: VGGBackbone) -> InputNeeds:
    """Input needs: each block halves the map, so sides must be multiples of 2 to the number of blocks."""
    return InputNeeds(2**spec.num_blocks)


NETWORK = Network(build, input_needs)
