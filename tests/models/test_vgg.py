"""Requirement B3: the parameter counts are computed, and they are the true ones."""

import pytest
import torch

from obverse.errors import RecipeError
from obverse.models import build_classifier, input_needs
from obverse.models.backbones.vgg import VGG
from obverse.recipe import HeadSpec, ModelSpec, VGGBackbone

DOCUMENT_HEAD = HeadSpec(hidden=(2048, 1024), dropout=0.5)


def count(backbone, head=DOCUMENT_HEAD, num_classes=10):
    spec = ModelSpec(backbone=backbone, head=head)
    with torch.device("meta"):
        model = build_classifier(spec, num_views=1, num_classes=num_classes, height=256, width=512)
    return model.num_parameters()


def test_the_document_s_network_has_148_683_082_parameters():
    assert count(VGGBackbone()) == 148_683_082


@pytest.mark.parametrize(("num_blocks", "millions"), [(4, 546.6), (6, 52.7)])
def test_other_depths(num_blocks, millions):
    assert round(count(VGGBackbone(num_blocks=num_blocks)) / 1e6, 1) == millions


def test_a_pooled_linear_head_and_its_normalisation():
    assert count(VGGBackbone(pool="mean"), HeadSpec()) == 12_360_010
    norms = 2 * (2 * 64 + 2 * 128 + 3 * 256 + 5 * 512)
    assert count(VGGBackbone(pool="mean", norm="batch"), HeadSpec()) == 12_360_010 + norms


def test_a_head_of_4096_and_a_residual_net_are_computed_too():
    flat = 512 * 8 * 16
    convs = 148_683_082 - (flat * 2048 + 2048) - (2048 * 1024 + 1024) - (1024 * 10 + 10)
    larger = count(VGGBackbone(), HeadSpec(hidden=(4096, 2048), dropout=0.5))
    assert larger == convs + (flat * 4096 + 4096) + (4096 * 2048 + 2048) + (2048 * 10 + 10)
    channels = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 512), (512, 512)]
    for num_blocks in (4, 5, 6):
        added = sum(before * after + after for before, after in channels[:num_blocks])
        plain = count(VGGBackbone(num_blocks=num_blocks))
        assert count(VGGBackbone(num_blocks=num_blocks, residual=True)) == plain + added


@pytest.mark.parametrize(("height", "width"), [(128, 256), (512, 1024)])
def test_the_flattened_size_follows_the_picture(height, width):
    with torch.device("meta"):
        assert VGG(VGGBackbone(), height=height, width=width).num_features == 512 * (height // 32) * (width // 32)


def test_no_edge_is_dropped_where_halving_leaves_something_over():
    for num_blocks in (4, 5, 6):
        assert input_needs(ModelSpec(backbone=VGGBackbone(num_blocks=num_blocks))).multiple == 2**num_blocks


def small(height=32, width=64, **fields):
    torch.manual_seed(0)
    return VGG(VGGBackbone(**fields), height=height, width=width).eval()


def test_features_of_a_rectangle_are_the_flattened_map():
    model = small()
    assert model.num_features == 512 * 1 * 2
    assert model(torch.randn(1, 3, 32, 64)).shape == (1, 1024)


def test_mean_pooling_is_the_mean_of_the_flattened_map():
    images = torch.randn(1, 3, 32, 64)
    flat = small()(images).view(1, 512, 2).mean(2)
    torch.testing.assert_close(small(pool="mean")(images), flat)


def test_leaky_relu_lets_negative_numbers_through():
    images = torch.randn(1, 3, 32, 64)
    assert (small(activation="leaky-relu")(images) < 0).any()
    assert not (small()(images) < 0).any()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_short_way_is_added_before_the_activation(norm):
    model = small(num_blocks=4, norm=norm, residual=True)
    block, images = model.layers[0], torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(block(images), (block.body(images) + block.shortcut(images)).relu())
        before = model(images)
        for part in (block.body[-1] if norm == "none" else block.body[-2],):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
        if norm == "none":
            torch.testing.assert_close(block(images), block.shortcut(images).relu())
        assert not torch.allclose(model(images), before)
    assert 0.05 < float(before.std()) < 50


def test_the_signal_survives_thirteen_layers():
    assert 0.1 < float(small()(torch.randn(2, 3, 32, 64)).detach().std()) < 10


def test_too_small_a_picture_is_a_sentence():
    with pytest.raises(RecipeError, match="5 blocks halve a picture of 64x16"):
        small(height=16)
