"""Maps say something about the model: they find what decides, and change with its weights; the model never changes."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from obverse.bundle import Member, join
from obverse.data import Batch
from obverse.engines import Forward, Needs, TorchEngine
from obverse.explain import draw, explain, overlay
from obverse.explain.attention import attention_maps
from obverse.explain.layers import FusedAttention, mean_weights
from obverse.explain.watch import Seen, Watch
from obverse.models import build_classifier
from obverse.recipe import (
    CCTBackbone,
    ConvNetBackbone,
    HFBackbone,
    ModelSpec,
    OutputSpec,
    TimmBackbone,
    VGGBackbone,
    ViTBackbone,
)

VIT = {"patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
FORWARD = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))


def vit(**options):
    return TimmBackbone(name="vit_tiny_patch16_224", pretrained="none", options={**VIT, **options})


def small_model(backbone, *, num_views=1, height=32, width=48, sharing="shared", seed=0):
    torch.manual_seed(seed)
    spec = ModelSpec(backbone=backbone, sharing=sharing)
    return build_classifier(spec, num_views=num_views, num_classes=3, height=height, width=width).eval()


def engine_of(model):
    return TorchEngine(model.eval(), FORWARD, Needs(1, 32, 48))


def batch_of(num=2, *, num_views=1, height=32, width=48, missing=()):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, num_views, 3, height, width), dtype=torch.uint8, generator=generator)
    present = torch.ones(num, num_views, dtype=torch.bool)
    for place in missing:
        present[place] = False
    labels, valid = torch.full((num,), -1), torch.ones(num, dtype=torch.bool)
    return Batch(images, present, labels, valid, tuple(f"s/{n}" for n in range(num)))


OF_VITS = {"attention", "rollout", "gradient-rollout", "grad-cam", "occlusion"}
OF_OTHERS = {"layer-cam", "grad-cam", "occlusion"}
KINDS = {
    "vit": (vit(), OF_VITS),
    "vit, mean pooling": (vit(global_pool="avg", class_token=False), OF_VITS),
    "vit, registers": (vit(reg_tokens=4), OF_VITS),
    "own vit": (ViTBackbone(patch=8, width=24, depth=2, heads=3), OF_VITS),
    "cct": (CCTBackbone(depth=2, width=24, heads=3), OF_VITS),
    "convnet": (ConvNetBackbone(widths=(8, 8)), OF_OTHERS),
    "convnet-mirrored": (ConvNetBackbone(widths=(8, 8), mirrored=True), OF_OTHERS),
    "vgg": (VGGBackbone(num_blocks=4), OF_OTHERS),
    "resnet": (TimmBackbone(name="resnet10t", pretrained="none", options={"output_stride": 8}), OF_OTHERS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_logits_stay_and_maps_have_the_pictures_size(kind):
    backbone, methods = KINDS[kind]
    model, batch = small_model(backbone), batch_of()
    with torch.no_grad():
        before = FORWARD.logits(model, batch)
    found = list(explain(engine_of(model), batch, ("image",), methods=["all"]))
    with torch.no_grad():
        after = FORWARD.logits(model, batch)
    for row, explanation in enumerate(found):
        np.testing.assert_allclose(explanation.logits_K, before[row].numpy(), atol=1e-4)
        assert explanation.answer == int(before[row].argmax())
        assert set(explanation.maps["image"]) == methods
        for heat in explanation.maps["image"].values():
            assert heat.shape == (32, 48)
            assert heat.min() >= 0
            assert heat.max() == pytest.approx(1.0)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_maps_depend_on_the_weights(kind):
    """Other weights, another map: one that stayed would explain the picture alone (Adebayo et al. 2018)."""
    backbone, methods = KINDS[kind]
    batch = batch_of(1)
    first, second = (
        next(explain(engine_of(small_model(backbone, seed=s)), batch, ("image",), methods=["all"])) for s in (0, 1)
    )
    for method in methods:
        one, other = first.maps["image"][method].ravel(), second.maps["image"][method].ravel()
        if one.any() and other.any():  # a map of zeros: nothing speaks for the class
            assert np.corrcoef(one, other)[0, 1] < 0.99
        else:
            assert one.any() != other.any()


@pytest.mark.parametrize("fused", [True, False])
def test_weights_are_those_that_the_layer_uses(fused):
    """Against timm's own computation, which shows its softmax when attention is not fused."""
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, **VIT).eval()
    shown, kept = [], []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _, __, out: shown.append(out.mean(1)))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(images)
        wanted = list(shown)
        for block in model.blocks:
            block.attn.fused_attn = fused
        with Watch([nn.ModuleList([model])]) as watch:
            assert torch.allclose(model(images), expected, atol=1e-5)
    (seen,) = watch.calls
    kept = seen.attention_BNN
    assert seen.grid == (4, 4)
    assert seen.num_prefix == 1
    for found, right in zip(kept, wanted, strict=True):
        torch.testing.assert_close(found, right, atol=1e-5, rtol=1e-4)
    assert [block.attn.fused_attn for block in model.blocks] == [fused] * 3


def test_rollout_is_the_product_of_half_identity_layers():
    layers = [torch.rand(1, 5, 5).softmax(-1) for _ in range(3)]
    product = torch.eye(5)[None]
    for layer in layers:
        product = (layer + torch.eye(5)) / 2 @ product
    maps = attention_maps(Seen(layers, grid=(2, 2)))
    torch.testing.assert_close(maps["rollout"], product[:, 0, 1:].unflatten(1, (2, 2)))
    torch.testing.assert_close(maps["attention"], layers[-1][:, 0, 1:].unflatten(1, (2, 2)))
    without = attention_maps(Seen([layer[:, :4, :4] for layer in layers], grid=(2, 2)))
    torch.testing.assert_close(without["attention"], layers[-1][:, :4, :4].mean(1).unflatten(1, (2, 2)))


def test_windows_are_no_attention_map():
    windows = [torch.rand(4, 4, 4).softmax(-1)]
    assert attention_maps(Seen(windows, grid=(4, 4))) is None
    assert attention_maps(Seen([torch.rand(1, 17, 17), torch.rand(1, 5, 5)], grid=(4, 4))) is None
    assert attention_maps(Seen([], grid=(4, 4))) is None


@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_masks_and_scales_are_those_of_torch(mask):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, 5, 4).unbind()
    given = {None: None, "bool": torch.rand(5, 5) > 0.3, "float": torch.randn(2, 1, 5, 5)}[mask]
    if mask == "bool":
        given.fill_diagonal_(True)
    out = functional.scaled_dot_product_attention(query, key, value.new_ones(value.shape), given, scale=0.7)
    weights = mean_weights(FusedAttention.of(out, query, key, value, given, scale=0.7))
    torch.testing.assert_close(weights.sum(-1), out.mean(1)[..., 0])
    eye = torch.eye(5).expand(2, 2, 5, 5)
    seen = functional.scaled_dot_product_attention(query, key, eye, given, scale=0.7).mean(1)
    torch.testing.assert_close(weights, seen)


def test_torchs_own_attention_layer_is_seen():
    torch.manual_seed(0)

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 4, 4)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, images):
            tokens = self.patches(images).flatten(2).transpose(1, 2)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    model, images = Small().eval(), torch.randn(2, 3, 8, 12)
    with torch.no_grad(), Watch([nn.ModuleList([model])]) as watch:
        out = model(images)
        torch.testing.assert_close(out, model(images))
    assert [seen.grid for seen in watch.calls] == [(2, 3)] * 2
    torch.testing.assert_close(watch.calls[0].attention_BNN[0].sum(-1), torch.ones(2, 6))
    assert watch.calls[0].num_prefix == 0


@pytest.mark.parametrize("sharing", ["shared", "separate"])
@pytest.mark.parametrize("backbone", [vit(), ConvNetBackbone(widths=(8, 8))], ids=["vit", "convnet"])
def test_each_view_has_its_own_map_and_a_missing_view_has_none(backbone, sharing):
    views = ("obverse", "reverse")
    model, batch = small_model(backbone, num_views=2, sharing=sharing), batch_of(2, num_views=2, missing=[(1, 0)])
    both, alone = explain(engine_of(model), batch, views)
    assert list(both.maps) == list(both.views) == list(views)
    assert list(alone.maps) == ["reverse"]
    for heats in zip(*(maps.values() for maps in both.maps.values()), strict=True):
        assert not np.allclose(*heats)
    np.testing.assert_array_equal(both.views["reverse"], batch.images_BVCHW[0, 1].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("backbone", [vit(), ConvNetBackbone(widths=(8, 16))], ids=["vit", "convnet"])
def test_a_trained_model_looks_where_the_difference_is_and_a_random_one_does_not(backbone):
    """The class is the colour of a square on the left or right half of noise: the map follows the square."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (96, 1, 3, 32, 48), dtype=torch.uint8, generator=generator)
    labels = torch.arange(96) % 3
    for row, label in enumerate(labels.tolist()):
        column = (4, 32)[row % 2]
        images[row, 0, label, 8:24, column : column + 12] = 250
    whole = Batch(images, torch.ones(96, 1, dtype=torch.bool), labels, torch.ones(96, dtype=torch.bool), ("",) * 96)
    model = small_model(backbone).train()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0)
    for _ in range(40):
        functional.cross_entropy(FORWARD.logits(model, whole), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        assert (FORWARD.logits(model, whole).argmax(1) == labels).float().mean() > 0.95
    trained = shares_on_the_left(model, whole)
    chance = shares_on_the_left(small_model(backbone, seed=3), whole)
    # An untrained network, too, reacts to the brightest place; of its class it says nothing.
    compared = trained.keys() - ({"grad-cam", "occlusion"} if "attention" in trained else {"layer-cam", "occlusion"})
    for method, (left, right) in trained.items():
        assert left > right + 0.2, (method, left, right)
        if method in compared:
            assert left - right > 2 * abs(chance[method][0] - chance[method][1]), (method, chance)


def shares_on_the_left(model, batch):
    """Per method, of a picture with the square on the left and of one with it on the right."""
    pair = [found.maps["image"] for found in explain(engine_of(model), batch.split(2)[0], ("image",), methods=["all"])]
    return {name: [maps[name][:, :24].sum() / maps[name].sum().clip(1e-9) for maps in pair] for name in pair[0]}


def test_a_transformer_of_hugging_face_is_seen():
    pytest.importorskip("transformers")
    config = {"model_type": "vit", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
              "intermediate_size": 48, "patch_size": 8, "image_size": 32}  # fmt: skip
    model = small_model(HFBackbone(name="small", pretrained="none", config=config), width=32)
    (explanation,) = explain(engine_of(model), batch_of(1, width=32), ("image",), methods=["all"])
    assert set(explanation.maps["image"]) == OF_VITS


def test_an_ensemble_shows_the_mean_of_its_members():
    members = [small_model(vit(), seed=seed) for seed in (0, 1)]
    whole = ensemble(members, vit())
    batch = batch_of(1)
    names = ("attention", "rollout")
    parts = [next(explain(engine_of(model), batch, ("image",), methods=names)).maps["image"] for model in members]
    (together,) = explain(engine_of(whole), batch, ("image",), methods=names)
    for name in names:
        mean = (parts[0][name] + parts[1][name]) / 2
        np.testing.assert_allclose(together.maps["image"][name], mean / mean.max(), atol=1e-5)


def ensemble(members, backbone):
    said = [Member(ModelSpec(backbone=backbone), OutputSpec(), (0.5,) * 3, (0.5,) * 3)] * len(members)
    return join(members, said, num_views=1, mean=(0.5,) * 3, std=(0.5,) * 3).eval()


def test_an_ensemble_of_convolutions_shows_members_by_what_they_decide():
    backbone = ConvNetBackbone(widths=(8, 8))
    first, other = (small_model(backbone, seed=seed) for seed in (0, 1))
    heats = []
    for members in ([first], [other], [first, other]):
        (explanation,) = explain(engine_of(ensemble(members, backbone)), batch_of(1), ("image",))
        heats.append(explanation.maps["image"]["layer-cam"])
    *alone, together = heats
    assert all(np.abs(together - heat).max() > 1e-3 for heat in alone)
    with torch.no_grad():
        for parameter in other.head.parameters():
            parameter.mul_(1e-5)
    (faint,) = explain(engine_of(ensemble([first, other], backbone)), batch_of(1), ("image",))
    np.testing.assert_allclose(faint.maps["image"]["layer-cam"], alone[0], atol=1e-3)


def test_hooks_are_gone_even_after_an_early_end():
    model = small_model(ConvNetBackbone(widths=(8, 8)))
    stream = explain(engine_of(model), batch_of(2), ("image",))
    next(stream)
    stream.close()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_overlay_shows_the_map_and_keeps_the_rest():
    pixels = np.full((8, 8, 3), 200, np.uint8)
    heat = np.zeros((8, 8), np.float32)
    heat[2, 3] = 1
    drawn = overlay(pixels, heat)
    changed = (drawn != pixels).any(-1)
    assert changed.tolist() == (heat > 0).tolist()


def test_a_sheet_has_a_row_per_view_and_a_tile_per_map():
    model = small_model(vit(), num_views=2)
    views = ("obverse", "金貨\x1b" * 40)
    (explanation,) = explain(engine_of(model), batch_of(1, num_views=2), views, methods=["rollout", "grad-cam"])
    sheet = draw(explanation, "MS65", tile=96)
    assert sheet.width > 3 * 96
    assert sheet.width > sheet.height > 2 * 64
    assert sheet.getbbox() is not None
