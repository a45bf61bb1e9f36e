"""The compact convolutional transformer against its paper (Hassani et al. 2021, table 2), and any width."""

import pytest
import torch
from pydantic import ValidationError

from obverse.models import build_classifier
from obverse.models.backbones.cct import CCT
from obverse.recipe import CCTBackbone, ModelSpec, ViTBackbone

CCT_2_3X2 = CCTBackbone(depth=2, width=128, heads=2, mlp_ratio=1, num_convs=2)
CCT_6_3X1 = CCTBackbone(depth=6, width=256, heads=4, mlp_ratio=2, num_convs=1)


def count(backbone, side=32):
    with torch.device("meta"):
        model = build_classifier(
            ModelSpec(backbone=backbone), num_views=1, num_classes=10, height=side, width=side, load_weights=False
        )
    return model.num_parameters()


@pytest.mark.parametrize(
    ("backbone", "parameters", "millions"),
    [(CCT_2_3X2, 283_723, 0.28), (CCT_6_3X1, 3_233_803, 3.23), (CCTBackbone(), 3_760_139, 3.76)],
    ids=["CCT-2/3x2", "CCT-6/3x1", "CCT-7/3x1"],
)
def test_parameters_of_the_paper(backbone, parameters, millions):
    assert count(backbone) == parameters
    assert round(parameters / 1e6, 2) == millions


@pytest.mark.parametrize(("height", "width", "kernel"), [(32, 32, 3), (21, 47, 3), (33, 64, 5), (31, 30, 7)])
def test_the_grid_of_tokens_is_computed(height, width, kernel):
    spec = CCTBackbone(depth=1, width=24, heads=3, num_convs=2, kernel=kernel)
    model = CCT(spec, height=height, width=width)
    tokens = model.forward_features(torch.randn(1, 3, height, width))
    assert tokens.shape == (1, model.pos_embed.shape[1], 24)


def test_pooling_is_a_weighted_mean_of_the_tokens():
    torch.manual_seed(0)
    model = CCT(CCT_2_3X2, height=16, width=16).eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        tokens, features = model.forward_features(images), model(images)
        weights = model.pool(tokens).softmax(1)
        torch.testing.assert_close(features, (weights * tokens).sum(1))
        torch.nn.init.zeros_(model.pool.weight)
        torch.testing.assert_close(model(images), tokens.mean(1))


def test_drop_path_drops_in_training_only():
    torch.manual_seed(0)
    model = CCT(CCTBackbone(depth=2, width=24, heads=3, drop_path_rate=0.9), height=16, width=16)
    images = torch.randn(4, 3, 16, 16)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        (CCTBackbone, {"width": 100, "heads": 3}, "cannot be shared by 3 heads"),
        (CCTBackbone, {"kernel": 4}, "kernel must be odd"),
        (ViTBackbone, {"width": 100, "heads": 3}, "cannot be shared by 3 heads"),
    ],
)
def test_what_cannot_be_built_is_refused(kind, values, sentence):
    with pytest.raises(ValidationError, match=sentence):
        kind(**values)
