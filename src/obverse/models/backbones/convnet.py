"""The default network for small pictures (32 to 160 pixels) trained from scratch on a CPU: a plain, narrow convnet.

After airbench (Jordan 2024, arXiv:2404.00498) and its ancestor ResNet-9 (Page 2018): a fixed-frequency stem, groups of
two 3x3 convolutions with max-pooling between convolution and batch norm, global max-pooling. It is not those networks:
airbench whitens with the training data's covariance; here the stem starts as the discrete cosine basis of 4x4 patches
in opponent colours, which whitens natural pictures up to a scale that batch norm then sets. So no data is needed, the
stem is trained with the rest, and every layer is an ordinary one (it exports).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from obverse.errors import RecipeError
from obverse.recipe import ConvNetBackbone

from .network import Network
from .staged import Staged

PATCH = 4
FINAL_SIDE = 4
# Luminance, then two colour differences. Chroma ranks below this many steps of luminance frequency, as in JPEG.
OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))
CHROMA_PENALTY = 1.5


class ConvNet(Staged):
    """Pictures of any size to `num_features` features; about 3x3 to 5x5 places are left for `height` x `width`.

    `widths` are the stem's channels, then one number per group (each group halves the map once). The stem halves as
    often as it takes to hand about 16x16 to 24x24 places to the groups, so a picture of 160 pixels costs little more
    per group than one of 32. Widths of 24, 48, 96 have 157,296 parameters at 32 pixels, and 9,264 more for each halving
    the stem adds: one at 64, two at 96 and 150. mirrored: outside training, the mean over a picture and its mirror
    image (test-time augmentation as in airbench), which a network that was trained on both takes for the same thing.
    """

    def __init__(
        self, *, height: int, width: int, widths: tuple[int, ...], in_channels: int = 3, mirrored: bool = False
    ) -> None:
        super().__init__()
        assert widths, "the stem needs a width"
        if min(height, width) < 2:
            raise RecipeError(f"model.backbone: the convnet needs at least 2x2 pixels, not {width}x{height} "
                              "(width x height); use larger pictures")  # fmt: skip
        stem, *groups = widths
        layers: list[nn.Module] = [*_patches(in_channels, stem)]
        for _ in range(_stem_halvings(height, width, len(groups)) - 1):
            layers += _patches(stem, stem)
        _start_as_cosines(layers[0])
        channels = stem
        self.stage_of = [0] * len(layers)
        for number, group in enumerate(groups, 1):
            layers += [_conv(channels, group), nn.MaxPool2d(2, ceil_mode=True), *_norm(group)]
            layers += [_conv(group, group), *_norm(group)]
            channels = group
            self.stage_of += [number] * (len(layers) - len(self.stage_of))
        self.layers = nn.Sequential(*layers)
        self.num_features = channels
        self.mirrored = mirrored

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Features (B, num_features): global max-pooling."""
        if self.training or not self.mirrored:
            return self._strongest(images_BCHW)
        # The picture itself comes last, because explanations use the last map that was computed.
        return (self._strongest(images_BCHW.flip(3)) + self._strongest(images_BCHW)) / 2

    def _strongest(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return self.forward_features(images_BCHW).amax((2, 3))


def _stem_halvings(height: int, width: int, num_groups: int) -> int:
    """Number of halvings in the stem: those that leave a side of about FINAL_SIDE after the groups.

    At least one, and at most as many as the shorter side allows.
    """
    side = math.sqrt(height * width)
    wanted = math.floor(math.log2(side / FINAL_SIDE) + 0.5) - num_groups
    possible = int(math.log2(min(height, width)))
    return max(1, min(wanted, possible))


def _patches(channels_in: int, channels_out: int) -> list[nn.Module]:
    conv = nn.Conv2d(channels_in, channels_out, PATCH, stride=2, padding=1, bias=False)
    return [conv, *_norm(channels_out)]


def _conv(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)


def _norm(channels: int) -> list[nn.Module]:
    # ReLU, not GELU: GELU was no better in a short run and takes three times as long on channels-last fp32.
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


@torch.no_grad()
def _start_as_cosines(conv: nn.Module) -> None:
    """Initialise the filters: the first half with the lowest frequencies, the second half with their negatives.

    The negatives keep the sign that the ReLU removes.
    """
    assert isinstance(conv, nn.Conv2d)
    if conv.weight.is_meta:  # has no values; and computing on meta tensors imports torch's compiler, for a second
        return
    count = conv.out_channels // 2
    basis = list(_cosine_filters(conv.in_channels))[:count]
    if basis:
        filters = torch.stack(basis)
        conv.weight[: 2 * len(basis)] = torch.cat([filters, -filters])


def _cosine_filters(in_channels: int) -> Iterator[torch.Tensor]:
    """Filters (C, PATCH, PATCH) of norm one, low frequencies first."""
    places = torch.arange(PATCH) + 0.5
    waves = torch.stack([torch.cos(math.pi * places * u / PATCH) for u in range(PATCH)])
    waves = waves / waves.norm(dim=1, keepdim=True)
    colours = torch.tensor(OPPONENT) if in_channels == len(OPPONENT) else torch.eye(in_channels)
    colours = colours / colours.norm(dim=1, keepdim=True)
    rank = [
        (math.hypot(u, v) + (CHROMA_PENALTY if colour and in_channels == len(OPPONENT) else 0.0), colour, u, v)
        for colour in range(in_channels)
        for u in range(PATCH)
        for v in range(PATCH)
    ]
    for _, colour, u, v in sorted(rank):
        yield colours[colour][:, None, None] * waves[u][:, None] * waves[v]


def build(spec: ConvNetBackbone, /, *, height: int, width: int, load_weights: bool) -> nn.Module:
    """The network with random weights; there are no pretrained ones."""
    return ConvNet(height=height, width=width, widths=spec.widths, mirrored=spec.mirrored is True)


NETWORK = Network(build)
