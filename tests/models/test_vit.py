"""A vision transformer of any size: what the recipe says is what is built."""

import pytest
import torch

from obverse.models import build_classifier, undecayed_names
from obverse.recipe import ModelSpec, ViTBackbone

SIZES = {"tiny": (192, 3, 5.5), "small": (384, 6, 21.7), "base": (768, 12, 85.8), "large": (1024, 16, 303.3)}


def built(size=(64, 96), **fields):
    torch.manual_seed(0)
    spec = ModelSpec(backbone=ViTBackbone(**{"patch": 16, "width": 24, "depth": 2, "heads": 3, **fields}))
    return build_classifier(spec, num_views=1, num_classes=4, height=size[0], width=size[1])


@pytest.mark.parametrize("name", SIZES)
def test_the_usual_sizes(name):
    width, heads, millions = SIZES[name]
    with torch.device("meta"):
        model = built((224, 224), width=width, heads=heads, depth=24 if name == "large" else 12)
    assert model.num_parameters() / 1e6 == pytest.approx(millions, abs=0.05)


def test_every_field_reaches_the_network():
    net = built(mlp_ratio=3, drop_path_rate=0.3, embed_drop_rate=0.2, patch=32).backbones[0]
    assert net.patch_embed.patch_size == (32, 32)
    assert net.pos_embed.shape == (1, 1 + 2 * 3, 24)
    assert net.blocks[1].mlp.fc1.out_features == 72
    assert net.blocks[1].drop_path1.drop_prob == pytest.approx(0.3)
    assert net.pos_drop.p == 0.2
    assert net.blocks[0].attn.num_heads == 3


def test_tokens_and_positions_are_not_decayed():
    assert {"backbones.0.pos_embed", "backbones.0.cls_token"} <= undecayed_names(built())
