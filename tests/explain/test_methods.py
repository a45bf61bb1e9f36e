"""Methods by name: each against a computation by hand, on the network itself."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from obverse.data import Batch
from obverse.engines import Forward, Needs, TorchEngine
from obverse.errors import DataError, RecipeError
from obverse.explain import explain
from obverse.explain.attention import gradient_rollouts
from obverse.explain.gradcam import gradcam_maps, layercam_maps
from obverse.explain.layers import MultiheadAttention
from obverse.explain.watch import Watch
from obverse.models import Classifier, build_classifier
from obverse.recipe import ConvNetBackbone, ModelSpec, OutputSpec, TimmBackbone, ViTBackbone

VIT = {"patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
SMALL_VIT = ViTBackbone(patch=8, width=24, depth=2, heads=3)


def forward_of(**output):
    return Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"), output=OutputSpec(**output))


def engine_of(model, **output):
    return TorchEngine(model.eval(), forward_of(**output), Needs(1, 32, 48))


def small_model(backbone, *, num_views=1, seed=0, num_classes=3):
    torch.manual_seed(seed)
    spec = ModelSpec(backbone=backbone)
    return build_classifier(spec, num_views=num_views, num_classes=num_classes, height=32, width=48).eval()


def batch_of(num=1, *, num_views=1, height=32, width=48):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num, num_views, 3, height, width), dtype=torch.uint8, generator=generator)
    ones = torch.ones(num, num_views, dtype=torch.bool)
    return Batch(images, ones, torch.full((num,), -1), ones[:, 0], tuple(f"s/{n}" for n in range(num)))


def timm_vit(*, fused):
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=32, **VIT).eval()
    for block in model.blocks:
        block.attn.fused_attn = fused
    return model, torch.randn(2, 3, 32, 32)


@pytest.mark.parametrize("fused", [True, False])
def test_gradient_rollout_is_that_of_autograd(fused):
    """Chefer et al. 2021: R = R + mean over heads of (weights * their gradient)+ times R, from the identity."""
    model, images = timm_vit(fused=False)
    weights = []
    for block in model.blocks:
        block.attn.attn_drop.register_forward_hook(lambda _, __, out: weights.append(out))
    relevance = torch.eye(17).expand(2, -1, -1)
    score = model(images.requires_grad_())[:, 1].sum()
    for layer, gradient in zip(weights, torch.autograd.grad(score, weights), strict=True):
        relevance = relevance + (layer * gradient).relu().mean(1) @ relevance
    watched, images = timm_vit(fused=fused)
    with Watch([nn.ModuleList([watched])]) as watch:
        score = watched(images)[:, 1].sum()
    (found,) = gradient_rollouts(watch.calls, score)
    torch.testing.assert_close(found, relevance[:, 0, 1:].unflatten(1, (4, 4)), atol=1e-6, rtol=1e-3)


def test_grad_cam_of_a_transformer_is_of_the_tokens_before_the_last_attention():
    model, images = timm_vit(fused=True)
    tokens = []
    model.blocks[-1].norm1.register_forward_hook(lambda _, __, out: tokens.append(out))
    (slope,) = torch.autograd.grad(model(images.requires_grad_())[:, 2].sum(), tokens)
    cam = (tokens[0][:, 1:] * slope[:, 1:].sum(1, keepdim=True)).sum(-1).relu()
    with Watch([nn.ModuleList([model])]) as watch:
        score = model(images)[:, 2].sum()
    (found,) = gradcam_maps(watch.calls, score, 24)
    torch.testing.assert_close(found, cam.unflatten(1, (4, 4)), atol=1e-6, rtol=1e-3)


def test_layer_cam_is_of_the_last_map_with_eight_cells_a_side():
    """Jiang et al. 2021: the sum over channels of value times positive gradient; here of 8x12 of 16x24 to 4x6 cells."""
    model, images = small_model(ConvNetBackbone(widths=(8, 8, 16))).encoders[0][0], torch.randn(1, 3, 32, 48)
    maps = []
    for layer in model.modules():
        if isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, __, out: maps.append(out))
    score = model(images.requires_grad_())[:, 2].sum()
    assert [tuple(part.shape[2:]) for part in maps] == [(16, 24), (8, 12), (8, 12), (4, 6), (4, 6)]
    (slope,) = torch.autograd.grad(score, [maps[2]])
    with Watch([nn.ModuleList([model])]) as watch:
        score = model(images)[:, 2].sum()
    (found,) = layercam_maps(watch.calls, score)
    torch.testing.assert_close(found, 8 * 12 * (maps[2] * slope.relu()).sum(1))
    assert found.any()


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("width", [8, 6])
def test_slopes_of_torchs_attention_layer(batch_first, width):
    """Against attention written out, whose weights autograd sees."""
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=batch_first, vdim=width).eval()
    tokens, values = torch.randn(3, 5, 8), torch.randn(3, 5, width)
    given = [rows if batch_first else rows.transpose(0, 1) for rows in (tokens, tokens, values)]
    output, weights = layer(*given, average_attn_weights=False)
    pull = torch.randn_like(output)
    leaf = weights.detach().requires_grad_()
    weight = layer.in_proj_weight[16:] if width == 8 else layer.v_proj_weight
    value = functional.linear(values, weight, layer.in_proj_bias[16:]).unflatten(2, (2, 4)).transpose(1, 2)
    mixed = layer.out_proj((leaf @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixed if batch_first else mixed.transpose(0, 1), output, atol=1e-5, rtol=1e-4)
    (wanted,) = torch.autograd.grad((mixed * (pull if batch_first else pull.transpose(0, 1))).sum(), leaf)
    record = MultiheadAttention(layer, given[2].detach(), output, weights.detach())
    for head in range(2):
        torch.testing.assert_close(record.slopes(pull, head), wanted[:, head], atol=1e-5, rtol=1e-4)


class Corner(nn.Module):
    """Features are the mean colours of one place of the picture."""

    num_features = 3

    def forward(self, images):
        return images[..., 8:16, 32:40].mean((2, 3))


class First(nn.Module):
    """Fusion that takes the first view alone."""

    def forward(self, features_BVD, present_BV):
        return features_BVD[:, 0] * present_BV[:, :1]


def test_occlusion_finds_the_only_place_that_matters_and_nothing_else():
    model = Classifier([Corner()], First(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[1.0, 1, 1], [0, 0, 0]]))
    batch = batch_of()
    batch.images_BVCHW[:] = 20
    batch.images_BVCHW[..., 8:16, 32:40] = 250
    (found,) = explain(engine_of(model), batch, ("image",))
    assert set(found.maps["image"]) == {"occlusion"}  # nothing inside can be followed, so it is the default
    heat = found.maps["image"]["occlusion"]
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert 8 <= y < 16
    assert 32 <= x < 40
    assert heat[:, :24].max() == 0
    assert heat[24:].max() == 0


def test_a_method_is_named_and_a_wrong_one_is_one_sentence():
    engine, batch = engine_of(small_model(ConvNetBackbone(widths=(8, 8)))), batch_of()
    with pytest.raises(RecipeError, match="no method `gradcam` \\(did you mean `grad-cam`\\?\\)"):
        next(explain(engine, batch, ("image",), methods=["gradcam"]))
    with pytest.raises(RecipeError, match="tokens do not all see each other; choose of layer-cam, grad-cam, occlusion"):
        next(explain(engine, batch, ("image",), methods=["rollout"]))
    for backbone, methods in ((ConvNetBackbone(widths=(8, 8)), ("grad-cam",)), (SMALL_VIT, ("occlusion", "rollout"))):
        (found,) = explain(engine_of(small_model(backbone)), batch, ("image",), methods=methods)
        assert set(found.maps["image"]) == set(methods)


@pytest.mark.parametrize("backbone", [SMALL_VIT, ConvNetBackbone(widths=(8, 8))], ids=["vit", "convnet"])
@pytest.mark.parametrize("output", [{}, {"kind": "binary"}], ids=["one class", "label set"])
def test_maps_of_a_class_are_of_the_class_that_is_asked_for(backbone, output):
    engine, batch = engine_of(small_model(backbone), **output), batch_of()
    of_class = ("gradient-rollout" if isinstance(backbone, ViTBackbone) else "layer-cam", "grad-cam", "occlusion")
    (leading,) = explain(engine, batch, ("image",), methods=of_class)
    assert leading.target == leading.answer == int(leading.logits_K.argmax())
    (same,) = explain(engine, batch, ("image",), methods=of_class, target=leading.answer)
    other = (leading.answer + 1) % 3
    (different,) = explain(engine, batch, ("image",), methods=of_class, target=other)
    assert (different.target, different.answer) == (other, leading.answer)
    for method in of_class:
        np.testing.assert_array_equal(same.maps["image"][method], leading.maps["image"][method])
        assert np.abs(different.maps["image"][method] - leading.maps["image"][method]).max() > 0.01


def test_a_sample_with_no_finite_logits_is_named():
    model = small_model(ConvNetBackbone(widths=(8, 8)))
    with torch.no_grad():
        next(model.head.parameters()).fill_(torch.nan)
    with pytest.raises(DataError, match="the model's answer to 's/0' is no finite number"):
        next(explain(engine_of(model), batch_of(), ("image",)))


@pytest.mark.parametrize(("name", "method"), [("resnet10t", "layer-cam"), ("swin_tiny_patch4_window7_224", "grad-cam")])
def test_networks_without_global_attention_have_a_map_of_places(name, method):
    options = {"embed_dim": 12, "window_size": 4} if name.startswith("swin") else {}
    model = small_model(TimmBackbone(name=name, pretrained="none", options=options))
    (found,) = explain(engine_of(model), batch_of(), ("image",))
    assert set(found.maps["image"]) == {method}
