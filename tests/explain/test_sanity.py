"""Sanity of maps: repeatable, of the weights (Adebayo et al. 2018), for adapted networks and ensembles too."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from obverse.bundle import Member, join
from obverse.data import Batch
from obverse.engines import Forward, Needs, TorchEngine
from obverse.explain import explain
from obverse.models import build_classifier, prepare
from obverse.recipe import (
    ConvNetBackbone,
    FinetuneSpec,
    LoraSpec,
    ModelSpec,
    OutputSpec,
    TorchvisionBackbone,
    ViTBackbone,
)

FORWARD = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))
VIT, CONVNET = ViTBackbone(patch=8, width=24, depth=2, heads=3), ConvNetBackbone(widths=(8, 16))
OF_CLASS = {"vit": ("gradient-rollout", "grad-cam"), "convnet": ("layer-cam", "grad-cam")}


def small_model(backbone, *, seed=0):
    torch.manual_seed(seed)
    whole = ModelSpec(backbone=backbone)
    return build_classifier(whole, num_views=1, num_classes=3, height=32, width=48).eval()


def engine_of(model):
    return TorchEngine(model.eval(), FORWARD, Needs(1, 32, 48))


def squares(num=96):
    """Noise with a square whose colour is the class, at one of six places."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (num, 1, 3, 32, 48), dtype=torch.uint8, generator=generator)
    labels = torch.arange(num) % 3
    for row, label in enumerate(labels.tolist()):
        top, left = (2, 18)[row % 2], (2, 18, 34)[row // 2 % 3]
        images[row, 0, label, top : top + 12, left : left + 12] = 250
    ones = torch.ones(num, 1, dtype=torch.bool)
    return Batch(images, ones, labels, ones[:, 0], tuple(map(str, range(num))))


def trained(backbone):
    model, batch = small_model(backbone).train(), squares()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0)
    for _ in range(40):
        functional.cross_entropy(FORWARD.logits(model, batch), batch.labels_B).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("backbone", [VIT, CONVNET], ids=["vit", "convnet"])
def test_maps_of_random_weights_rank_places_otherwise(backbone):
    """The rank correlation of a trained network's map and a random one's is low, as a mean over pictures."""
    methods = OF_CLASS["vit" if isinstance(backbone, ViTBackbone) else "convnet"]
    some = squares().split(6)[0]
    engines = [engine_of(trained(backbone)), engine_of(small_model(backbone, seed=1))]
    pairs = zip(*(explain(engine, some, ("image",), methods=methods) for engine in engines), strict=True)
    maps = [(one.maps["image"], other.maps["image"]) for one, other in pairs]
    for method in methods:
        kept = [spearmanr(one[method].ravel(), other[method].ravel()).statistic for one, other in maps
                if one[method].any() and other[method].any()]  # fmt: skip
        assert np.mean(kept or [0]) < 0.5, (method, kept)


@pytest.mark.parametrize("backbone", [VIT, CONVNET], ids=["vit", "convnet"])
def test_the_same_twice(backbone):
    engine, some = engine_of(small_model(backbone)), squares().split(2)[0]
    once, again = (list(explain(engine, some, ("image",), methods=["all"])) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.logits_K, other.logits_K)
        for method, heat in one.maps["image"].items():
            np.testing.assert_array_equal(heat, other.maps["image"][method])


def test_a_member_without_influence_adds_nothing_to_the_maps_of_a_class():
    members = [small_model(VIT, seed=seed) for seed in (0, 1)]
    batch = squares(1)
    methods = ("gradient-rollout", "grad-cam")
    (alone,) = explain(engine_of(members[0]), batch, ("image",), methods=methods)
    with torch.no_grad():
        for parameter in members[1].head.parameters():
            parameter.mul_(1e-6)
    parts = [Member(ModelSpec(backbone=VIT), OutputSpec(), (0.5,) * 3, (0.5,) * 3)] * 2
    whole = join(members, parts, num_views=1, mean=(0.5,) * 3, std=(0.5,) * 3)
    (together,) = explain(engine_of(whole), batch, ("image",), methods=methods, target=alone.answer)
    for method in methods:
        np.testing.assert_allclose(together.maps["image"][method], alone.maps["image"][method], atol=1e-3)


def test_the_default_map_of_a_convnet_points_at_what_decides():
    """The map's maximum lies on the square, or at most half a cell, 2 pixels, beside it."""
    some = squares().split(12)[0]
    heats = [found.maps["image"]["layer-cam"] for found in explain(engine_of(trained(CONVNET)), some, ("image",))]
    for row, heat in enumerate(heats):
        top, left = (2, 18)[row % 2], (2, 18, 34)[row // 2 % 3]
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        assert max(top - y, y - top - 11, left - x, x - left - 11) <= 2, (row, y, x)


def test_an_ensemble_of_a_transformer_and_a_convnet_shows_both():
    members = [small_model(VIT), small_model(CONVNET)]
    parts = [Member(ModelSpec(backbone=each), OutputSpec(), (0.5,) * 3, (0.5,) * 3) for each in (VIT, CONVNET)]
    whole = join(members, parts, num_views=1, mean=(0.5,) * 3, std=(0.5,) * 3)
    (found,) = explain(engine_of(whole), squares(1), ("image",))
    assert set(found.maps["image"]) == {"gradient-rollout", "layer-cam"}


@pytest.mark.parametrize(
    ("name", "method"), [("swin_v2_t", "grad-cam"), ("maxvit_t", "grad-cam"), ("resnet18", "layer-cam")]
)
@pytest.mark.full
def test_networks_of_torchvision_have_a_map_of_places(name, method):
    backbone = TorchvisionBackbone(name=name, pretrained="none")
    torch.manual_seed(0)
    side = 224 if name == "maxvit_t" else 64
    model = build_classifier(ModelSpec(backbone=backbone), num_views=1, num_classes=3, height=side, width=side).eval()
    images = torch.randint(0, 256, (1, 1, 3, side, side), dtype=torch.uint8)
    ones = torch.ones(1, 1, dtype=torch.bool)
    batch = Batch(images, ones, torch.tensor([-1]), ones[:, 0], ("s",))
    (found,) = explain(TorchEngine(model, FORWARD, Needs(1, side, side)), batch, ("image",))
    assert set(found.maps["image"]) == {method}


def test_low_rank_layers_are_followed():
    model = small_model(VIT)
    prepare(model, FinetuneSpec(lora=LoraSpec(rank=2, alpha=6.0)))
    (found,) = explain(engine_of(model), squares(1), ("image",), methods=["all"])
    assert set(found.maps["image"]) == {"attention", "rollout", "gradient-rollout", "grad-cam", "occlusion"}
    assert all(parameter.grad is None for parameter in model.parameters())
