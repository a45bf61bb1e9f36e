"""Views to one vector, with a view missing, and with one view only."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from obverse.models import build_classifier, undecayed_names
from obverse.models.fusion import ConcatFusion, MaxFusion, MeanFusion, build_fusion
from obverse.recipe import AttentionFusion as AttentionSpec
from obverse.recipe import ConvNetBackbone, HeadSpec, ModelSpec

KINDS = ("attention", "concat", "cross-view", "gated", "max", "mean", "multiplicative")
EVERY_KIND = ("average", *KINDS)
WITH_EMBEDDING = ("attention", "cross-view", "gated", "multiplicative")
FEATURES_BVD = torch.arange(12.0).view(2, 2, 3)
ALL = torch.ones(2, 2, dtype=torch.bool)
SECOND_LACKS_FIRST = torch.tensor([[True, True], [False, True]])


def spec_of(kind, **fields):
    width = {"width": 8} if kind in WITH_EMBEDDING else {}
    return ModelSpec.model_validate({"fusion": {"kind": kind, **width, **fields}}).fusion


def classifier(num_views=2, **fields):
    torch.manual_seed(0)
    spec = ModelSpec(backbone=ConvNetBackbone(widths=(8, 8)), **fields)
    return build_classifier(spec, num_views=num_views, num_classes=3, height=16, width=16).eval()


def test_concat_lays_features_side_by_side_in_view_order():
    assert ConcatFusion(2, 3)(FEATURES_BVD, ALL).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_concat_puts_the_learned_vector_where_a_view_is_missing():
    fusion = ConcatFusion(2, 3)
    torch.nn.init.constant_(fusion.missing_VD[0], -1.0)
    assert fusion(FEATURES_BVD, SECOND_LACKS_FIRST).tolist() == [[0, 1, 2, 3, 4, 5], [-1, -1, -1, 9, 10, 11]]


def test_the_missing_vector_is_learned():
    fusion = ConcatFusion(2, 3)
    fusion(FEATURES_BVD, SECOND_LACKS_FIRST).sum().backward()
    assert fusion.missing_VD.grad.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_mean_and_max_ignore_a_missing_view():
    assert MeanFusion(3)(FEATURES_BVD, SECOND_LACKS_FIRST).tolist() == [[1.5, 2.5, 3.5], [9, 10, 11]]
    assert MaxFusion(3)(FEATURES_BVD - 9, SECOND_LACKS_FIRST).tolist() == [[-6, -5, -4], [0, 1, 2]]
    high_first = torch.tensor([[[5.0, 0, 5], [0, 5, 0]]])
    assert MaxFusion(3)(high_first, ALL[:1]).tolist() == [[5, 5, 5]]


@pytest.mark.parametrize("kind", KINDS)
def test_one_view_is_the_identity(kind):
    one = FEATURES_BVD[:, :1]
    fusion = build_fusion(spec_of(kind), num_views=1, num_features=3)
    assert torch.equal(fusion(one, ALL[:, :1]), one[:, 0])
    assert not list(fusion.parameters())


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_missing_view_s_pixels_cannot_matter(kind):
    images = torch.randn(2, 2, 3, 16, 16)
    other = images.clone()
    other[1, 0] = 99.0
    model = classifier(fusion=spec_of(kind))
    torch.testing.assert_close(model(images, SECOND_LACKS_FIRST), model(other, SECOND_LACKS_FIRST))
    assert not torch.allclose(model(images, ALL), model(other, ALL))


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"concat"}))
def test_the_order_of_views_changes_no_logit_by_1e5(kind):
    images, present = torch.randn(4, 3, 3, 16, 16), torch.tensor([[1, 1, 1], [0, 1, 1], [1, 0, 0], [1, 1, 0]]).bool()
    model = classifier(3, fusion=spec_of(kind))
    logits = model(images, present)
    for order in ([1, 2, 0], [2, 1, 0], [1, 0, 2]):
        assert (model(images[:, order], present[:, order]) - logits).abs().max() < 1e-5
    assert (model(images.flip(0), present.flip(0)) - logits).abs().max() > 1e-5, "the logits depend on nothing"


@pytest.mark.parametrize("kind", ["average", "concat", *WITH_EMBEDDING])
def test_the_order_counts_for_heads_per_view_concat_and_with_a_view_embedding(kind):
    images = torch.randn(2, 2, 3, 16, 16)
    fields = {} if kind in ("average", "concat") else {"view_embedding": True}
    model = classifier(fusion=spec_of(kind, **fields))
    assert (model(images, ALL) - model(images.flip(1), ALL)).abs().max() > 1e-5


@pytest.mark.parametrize("kind", ["concat", *WITH_EMBEDDING])
def test_every_parameter_of_a_fusion_learns_also_where_views_are_missing(kind):
    """One that did not would stop distributed training, which waits for its gradient."""
    fields = {"view_embedding": True} if kind in WITH_EMBEDDING else {}
    fusion = build_fusion(spec_of(kind, **fields), num_views=2, num_features=3)
    fusion(FEATURES_BVD, SECOND_LACKS_FIRST).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in fusion.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_learned_vectors_are_not_decayed(kind):
    fields = {"view_embedding": True} if kind in WITH_EMBEDDING else {}
    fusion = build_fusion(spec_of(kind, **fields), num_views=2, num_features=3)
    decayed = {name for name, _ in fusion.named_parameters()} - undecayed_names(fusion)
    assert all(dict(fusion.named_modules())[name.removesuffix(".weight")].__class__ is nn.Linear for name in decayed)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_fusion_exports_without_python_branches(kind):
    model = classifier(fusion=spec_of(kind))
    images = torch.randn(2, 2, 3, 16, 16)
    exported = torch.export.export(model, (images, ALL)).module()
    torch.testing.assert_close(exported(images, SECOND_LACKS_FIRST), model(images, SECOND_LACKS_FIRST))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_fusion_comes_back_from_its_recipe(kind):
    spec = ModelSpec(fusion=spec_of(kind))
    assert ModelSpec.model_validate_json(spec.model_dump_json()).fusion == spec_of(kind)


def test_a_setting_that_cannot_be_is_refused():
    for kind in ("mean", "max"):
        with pytest.raises(ValidationError, match=f"{kind} fusion needs `sharing: shared`"):
            ModelSpec(fusion=spec_of(kind), sharing="separate")
    with pytest.raises(ValidationError, match="multiple of num_heads"):
        AttentionSpec(width=6, num_heads=4)


def test_separate_backbones_are_twice_the_shared_one_and_differ():
    shared, separate = classifier(), classifier(sharing="separate")
    backbone = sum(p.numel() for p in shared.backbones.parameters())
    assert separate.num_parameters() == shared.num_parameters() + backbone
    same = torch.randn(1, 1, 3, 16, 16).expand(1, 2, 3, 16, 16)
    left, right = separate.features(same)[0]
    assert not torch.allclose(left, right)
    left, right = shared.features(same)[0]
    torch.testing.assert_close(left, right)


def test_separate_backbones_see_their_own_view():
    model = classifier(sharing="separate")
    images = torch.randn(2, 2, 3, 16, 16)
    expected = torch.stack([model.backbones[v](images[:, v]) for v in range(2)], 1)
    torch.testing.assert_close(model.features(images), expected)


def test_the_head_has_its_layers_in_order_and_dropout_in_training_only():
    model = classifier(1, head=HeadSpec(hidden=(6, 5), dropout=0.5))
    kinds = [type(layer).__name__ for layer in model.head]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [layer.out_features for layer in model.head if hasattr(layer, "out_features")] == [6, 5, 3]
    fused = torch.randn(4, 8)
    assert torch.equal(model.head(fused), model.head(fused))
    assert not torch.equal(model.head.train()(fused), model.head(fused))


def test_a_linear_head_keeps_its_dropout():
    assert [type(x).__name__ for x in classifier(1, head=HeadSpec(dropout=0.2)).head] == ["Dropout", "Linear"]
