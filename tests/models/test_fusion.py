"""Views to one vector, with a view missing, and with one view only."""

import torch

from obverse.models import build_classifier
from obverse.models.fusion import ConcatFusion, MeanFusion
from obverse.recipe import ConcatFusion as ConcatSpec
from obverse.recipe import ConvNetBackbone, HeadSpec, ModelSpec
from obverse.recipe import MeanFusion as MeanSpec

FEATURES_BVD = torch.arange(12.0).view(2, 2, 3)
ALL = torch.ones(2, 2, dtype=torch.bool)
SECOND_LACKS_FIRST = torch.tensor([[True, True], [False, True]])


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


def test_mean_ignores_a_missing_view():
    assert MeanFusion(2, 3)(FEATURES_BVD, SECOND_LACKS_FIRST).tolist() == [[1.5, 2.5, 3.5], [9, 10, 11]]


def test_one_view_is_the_identity():
    one = FEATURES_BVD[:, :1]
    for fusion in (ConcatFusion(1, 3), MeanFusion(1, 3)):
        assert torch.equal(fusion(one, ALL[:, :1]), one[:, 0])
        assert not list(fusion.parameters())


def test_a_missing_view_s_pixels_cannot_matter():
    images = torch.randn(2, 2, 3, 16, 16)
    other = images.clone()
    other[1, 0] = 99.0
    for fusion in (ConcatSpec(), MeanSpec()):
        model = classifier(fusion=fusion)
        torch.testing.assert_close(model(images, SECOND_LACKS_FIRST), model(other, SECOND_LACKS_FIRST))
        assert not torch.allclose(model(images, ALL), model(other, ALL))


def test_mean_does_not_depend_on_the_order_of_views_and_concat_does():
    images = torch.randn(2, 2, 3, 16, 16)
    mean, concat = classifier(fusion=MeanSpec()), classifier()
    torch.testing.assert_close(mean(images, ALL), mean(images.flip(1), ALL))
    assert not torch.allclose(concat(images, ALL), concat(images.flip(1), ALL))


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
