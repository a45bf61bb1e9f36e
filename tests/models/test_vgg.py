"""Requirement B3: the parameter counts are computed, and they are the true ones."""

import pytest
import torch

from obverse.errors import RecipeError
from obverse.models import build_classifier
from obverse.models.vgg import VGG
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


def test_the_signal_survives_thirteen_layers():
    assert 0.1 < float(small()(torch.randn(2, 3, 32, 64)).detach().std()) < 10


def test_too_small_a_picture_is_a_sentence():
    with pytest.raises(RecipeError, match="5 blocks halve a picture of 64x16"):
        small(height=16)
