"""The backbone in training sees the views that exist, and nothing in their stead."""

import copy

import pytest
import torch
from torch import nn

from obverse.models import build_classifier, compile_model, enable_checkpointing, rows_of
from obverse.recipe import ConvNetBackbone, ModelSpec, TimmBackbone, VGGBackbone

VIEWS, SIDE = 2, 16


def norms(module):
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def classifier(backbone=None, **spec):
    torch.manual_seed(0)
    spec = ModelSpec(backbone=backbone or ConvNetBackbone(widths=(4, 8)), **spec)
    return build_classifier(spec, num_views=VIEWS, num_classes=3, height=SIDE, width=SIDE).train()


def pictures(num, present):
    """Seeded noise; a view that is missing is grey, which is zero for the model."""
    images = torch.randn(num, VIEWS, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return images * torch.tensor(present)[..., None, None, None], torch.tensor(present)


@pytest.mark.parametrize("sharing", ["shared", "separate"])
@pytest.mark.parametrize("is_channels_last", [False, True])
def test_statistics_are_those_of_the_pictures_that_exist(sharing, is_channels_last):
    images, present = pictures(6, [[True, False]] * 3 + [[True, True]] * 2 + [[False, True]])
    model, expected = classifier(sharing=sharing), classifier(sharing=sharing)
    if is_channels_last:
        images = images.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (6, VIEWS))
    model(images, present)
    if sharing == "shared":
        expected.backbones[0](images.flatten(0, 1)[present.flatten()])
    else:
        for view, backbone in enumerate(expected.backbones):
            backbone(images[:, view][present[:, view]])
    for seen, wanted in zip(norms(model), norms(expected), strict=True):
        torch.testing.assert_close(seen.running_mean, wanted.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(seen.running_var, wanted.running_var, rtol=1e-5, atol=1e-6)
        assert seen.num_batches_tracked == 1


def test_what_stands_in_for_a_view_changes_neither_answers_nor_gradients():
    images, present = pictures(4, [[True, False], [True, True], [False, True], [True, True]])
    found = []
    for grey in (0.0, 7.0):
        model = classifier()
        logits = model(torch.where(present[..., None, None, None], images, grey), present)
        logits.square().sum().backward()
        found.append([logits.detach(), *(p.grad for p in model.parameters())])
    for first, second in zip(*found, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("sharing", ["shared", "separate"])
def test_with_all_views_there_the_backbone_runs_as_ever(sharing):
    images, present = pictures(4, [[True, True]] * 4)
    model, expected = classifier(sharing=sharing), classifier(sharing=sharing)
    features = model.features(images, present)
    if sharing == "shared":
        wanted = expected.backbones[0](images.flatten(0, 1)).view(4, VIEWS, -1)
    else:
        wanted = torch.stack([net(images[:, v]) for v, net in enumerate(expected.backbones)], dim=1)
    assert torch.equal(features, wanted)
    assert all(torch.equal(a.running_var, b.running_var) for a, b in zip(norms(model), norms(expected), strict=True))


def test_outside_training_every_view_runs():
    images, present = pictures(3, [[True, False], [True, True], [False, True]])
    model = classifier().eval()
    assert torch.equal(model.features(images, present), model.features(images))


def test_a_view_that_no_sample_has_teaches_its_backbone_nothing():
    images, present = pictures(4, [[True, False]] * 4)
    model = classifier(sharing="separate")
    before = copy.deepcopy(model.backbones[1].state_dict())
    model(images, present).square().sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.backbones[1].state_dict().items())
    # Every weight takes part, as processes that train together ask for.
    assert all(p.grad is not None and not p.grad.any() for p in model.backbones[1].parameters())
    assert any(p.grad.any() for p in model.backbones[0].parameters())
    model(*pictures(4, [[True, True]] * 4))
    assert all(norm.num_batches_tracked == 1 for norm in norms(model.backbones[1]))


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("present", [[[True, False]], [[True, False], [True, False], [False, True]]])
def test_a_single_picture_trains_where_its_last_map_has_one_place(present, recomputed):
    model = classifier(VGGBackbone(num_blocks=4, norm="batch"), sharing="separate")  # 16 pixels, halved four times
    if recomputed:
        enable_checkpointing(model)
    images, present = pictures(len(present), present)
    model(images, present).square().sum().backward()
    for backbone in model.backbones:
        assert all(torch.isfinite(buffer).all() for buffer in backbone.buffers())
        assert all(torch.isfinite(p.grad).all() for p in backbone.parameters())
    model(*pictures(4, [[True, True]] * 4))
    assert all(norm.training for norm in norms(model))


def test_a_transformer_trains_on_what_is_there():
    options = {"embed_dim": 12, "depth": 1, "num_heads": 2}
    model = classifier(TimmBackbone(name="vit_tiny_patch16_224", pretrained="none", options=options))
    seen = []
    model.backbones[0].register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    model(*pictures(3, [[True, False], [True, True], [False, True]]))
    assert seen == [4]


def test_what_counts_is_said_of_each_picture_that_runs():
    valid = torch.tensor([True, True, False])
    present = torch.tensor([[True, False], [True, True], [False, True]])
    assert [rows.tolist() for rows in rows_of(valid, present, num_backbones=1)] == [[True, True, True, False]]
    assert [rows.tolist() for rows in rows_of(valid, present, num_backbones=2)] == [[True, True], [True, False]]
    alone = torch.tensor([[True, False]] * 3)
    assert [rows.tolist() for rows in rows_of(valid, alone, num_backbones=2)] == [[True, True, False], [False]]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_model_is_not_compiled_again_for_each_number_of_pictures():
    graphs = []

    def counted(graph, _):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    model = classifier()
    compile_model(model, backend=counted)
    for num_missing in range(4):
        model(*pictures(6, [[True, place >= num_missing] for place in range(6)]))
        if num_missing == 1:
            num_graphs = len(graphs)
    assert len(graphs) == num_graphs > 0
    torch._dynamo.reset()
