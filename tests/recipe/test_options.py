"""Recipes and bundles set what decides an architecture, and nothing that loads, fetches or never ends."""

import pytest

from obverse.errors import RecipeError
from obverse.recipe import build_recipe

TIMM = {"kind": "timm", "name": "vit_tiny_patch16_224"}


def of(backbone):
    return build_recipe({"model": {"backbone": backbone}}, "test").model.backbone


@pytest.mark.parametrize(
    "name",
    [
        *("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "features_only"),
        *("scriptable", "exportable", "num_classes", "in_chans", "out_indices", "pretrained_strict", "hf_hub_id"),
    ],
)
@pytest.mark.parametrize("backbone", [TIMM, {"kind": "torchvision", "name": "resnet18"}], ids=["timm", "torchvision"])
def test_what_is_not_of_the_architecture_is_refused(backbone, name):
    with pytest.raises(RecipeError, match=f"`{name}` is no option of {backbone['kind']}") as caught:
        of({**backbone, "options": {name: "x"}})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depth": 10**9}, "`depth` is 1000000000; at most 1,000"),
        ({"embed_dim": 10**9}, "at most 65,536"),
        ({"num_heads": -1}, "`num_heads` is -1; no option of an architecture is negative"),
        ({"mlp_ratio": 1e300}, "`mlp_ratio` is"),
        ({"act_layer": "a b"}, "which is no word"),
        ({"act_layer": "/etc/passwd"}, "which is no word"),
        ({"norm_layer": "x" * 65}, "which is no word"),
    ],
)
def test_options_have_bounds(options, sentence):
    with pytest.raises(RecipeError, match=sentence):
        of({**TIMM, "options": options})


@pytest.mark.parametrize(
    "backbone",
    [
        {"kind": "vit", "depth": 10**9},
        {"kind": "vit", "width": 10**9, "heads": 1},
        {"kind": "vit", "mlp_ratio": 1e9},
        {"kind": "cct", "num_convs": 1000},
        {"kind": "cct", "kernel": 10**9 + 1},
        {"kind": "convnet", "widths": [10**9]},
        {"kind": "convnet", "widths": []},
        {"kind": "convnet", "widths": [8] * 1000},
    ],
)
def test_networks_have_bounds(backbone):
    with pytest.raises(RecipeError, match="backbone"):
        of(backbone)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "vit", "num_hidden_layers": 10**9},
        {"model_type": "swin", "depths": [2, 10**9]},
        {"model_type": "vit", "hidden_size": 10**12},
        {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}},
    ],
)
def test_configurations_of_transformers_have_bounds(config):
    with pytest.raises(RecipeError, match=r"can be built|nested deeper"):
        of({"kind": "hf", "name": "x", "config": config})


@pytest.mark.parametrize("options", [{"pad_type": "same"}, {"global_pool": ""}, {"depth": 12, "qkv_bias": False}, {}])
def test_options_of_the_architecture_are_taken(options):
    assert of({**TIMM, "options": options}).options == options
