"""The small convnet: its contracts for any size, and that its stem starts as the basis it says."""

from __future__ import annotations

import pytest
import torch

from obverse.errors import RecipeError
from obverse.models.backbones.convnet import ConvNet, _cosine_filters

WIDTHS = (24, 48, 96)
SIZES = [(32, 32), (64, 64), (96, 96), (150, 150), (128, 256), (33, 47), (28, 28), (8, 256), (2, 2)]


def _num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_output_shapes(height: int, width: int) -> None:
    model = ConvNet(height=height, width=width, widths=WIDTHS).eval()
    images_BCHW = torch.randn(2, 3, height, width)
    features_BD = model(images_BCHW)
    assert features_BD.shape == (2, model.num_features)
    torch.testing.assert_close(model.forward_features(images_BCHW).amax((2, 3)), features_BD)


@pytest.mark.parametrize(
    ("height", "width", "places"),
    [(32, 32, (4, 4)), (64, 64, (4, 4)), (96, 96, (3, 3)), (150, 150, (5, 5)), (128, 256, (2, 4)), (33, 47, (4, 6))],
)
def test_the_last_map_is_small(height: int, width: int, places: tuple[int, int]) -> None:
    model = ConvNet(height=height, width=width, widths=WIDTHS).eval()
    assert model.forward_features(torch.randn(1, 3, height, width)).shape[2:] == places


@pytest.mark.parametrize(("side", "expected"), [(32, 157_296), (64, 166_560), (96, 175_824), (150, 175_824)])
def test_parameter_count_is_the_docstring_s(side: int, expected: int) -> None:
    assert _num_parameters(ConvNet(height=side, width=side, widths=WIDTHS)) == expected
    assert f"{157_296:,}" in str(ConvNet.__doc__)
    assert 157_296 + 96 * 10 + 10 == 158_266


@pytest.mark.parametrize("side", [32, 96])
def test_every_parameter_gets_a_gradient(side: int) -> None:
    torch.manual_seed(0)
    model = ConvNet(height=side, width=side, widths=WIDTHS)
    model(torch.randn(8, 3, side, side)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_picture_too_small_is_a_sentence() -> None:
    with pytest.raises(RecipeError, match="at least 2x2 pixels, not 9x1"):
        ConvNet(height=1, width=9, widths=WIDTHS)


def test_batch_equals_single_in_eval() -> None:
    torch.manual_seed(0)
    model = ConvNet(height=32, width=32, widths=WIDTHS).eval()
    images_BCHW = torch.randn(4, 3, 32, 32)
    single = torch.cat([model(images_BCHW[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(model(images_BCHW), single)


def test_mirrored_features_are_the_mean_of_both_outside_training_only() -> None:
    torch.manual_seed(0)
    model, plain = (ConvNet(height=32, width=32, widths=WIDTHS, mirrored=value) for value in (True, False))
    plain.load_state_dict(model.state_dict())
    images_BCHW = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(model(images_BCHW), plain(images_BCHW))  # training
    model.load_state_dict(plain.state_dict())
    model.eval()
    plain.eval()
    expected = (plain(images_BCHW) + plain(images_BCHW.flip(3))) / 2
    torch.testing.assert_close(model(images_BCHW), expected)
    torch.testing.assert_close(model(images_BCHW.flip(3)), expected)


def test_channels_last_gives_the_same_features() -> None:
    torch.manual_seed(0)
    model = ConvNet(height=64, width=64, widths=WIDTHS).eval()
    images_BCHW = torch.randn(2, 3, 64, 64)
    expected = model(images_BCHW)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(model(images_BCHW.contiguous(memory_format=torch.channels_last)), expected)


@pytest.mark.parametrize(("widths", "in_channels"), [((8,), 3), ((16, 32, 64, 128), 3), ((7, 9), 1), ((128, 64), 4)])
def test_other_widths_and_channels(widths: tuple[int, ...], in_channels: int) -> None:
    model = ConvNet(height=32, width=32, widths=widths, in_channels=in_channels).eval()
    assert model(torch.randn(1, in_channels, 32, 32)).shape == (1, widths[-1])
    assert model.num_features == widths[-1]


@pytest.mark.parametrize("in_channels", [1, 3, 4])
def test_the_stem_basis_is_orthonormal_and_starts_flat(in_channels: int) -> None:
    filters = torch.stack(list(_cosine_filters(in_channels))).flatten(1)
    torch.testing.assert_close(filters @ filters.T, torch.eye(16 * in_channels), atol=1e-5, rtol=0)
    assert filters[0].unique().numel() == (1 if in_channels in (1, 3) else 2)


def test_the_stem_starts_with_the_basis_and_its_negative() -> None:
    weight = ConvNet(height=32, width=32, widths=WIDTHS).layers[0].weight
    torch.testing.assert_close(weight[:12], -weight[12:24])
    torch.testing.assert_close(weight[:12], torch.stack(list(_cosine_filters(3))[:12]))
