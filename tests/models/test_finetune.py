"""What trains and what does not: stages, LoRA, batch norm, rates by layer; asked of real timm models, tiny ones."""

import copy

import pytest
import torch
from torch import nn

from obverse.errors import RecipeError
from obverse.models import (
    build_classifier,
    has_folded_norm,
    merge_lora,
    parameter_groups,
    plain_state,
    prepare,
    set_trainable,
)
from obverse.models.adapt.groups import stage_numbers
from obverse.recipe import ConvNetBackbone, FinetuneSpec, LoraSpec, ModelSpec, TimmBackbone, VGGBackbone

TINY_VIT = TimmBackbone(
    name="vit_tiny_patch16_224", pretrained="none", options={"depth": 3, "embed_dim": 24, "num_heads": 3}
)
TINY_BEIT = TimmBackbone(
    name="beit_base_patch16_224", pretrained="none", options={"depth": 2, "embed_dim": 24, "num_heads": 3}
)
TINY_RESNET = TimmBackbone(name="test_resnet", pretrained="none")
IMAGES, PRESENT = torch.randn(2, 1, 3, 32, 48), torch.ones(2, 1, dtype=torch.bool)


def classifier(backbone=TINY_VIT, spec=None, **fields):
    torch.manual_seed(0)
    model = build_classifier(ModelSpec(backbone=backbone, **fields), num_views=1, num_classes=4, height=32, width=48)
    if spec:
        prepare(model, spec)
        set_trainable(model, spec, epoch=0)
    return model.train()


def trained_names(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def step(model, lr=0.1):
    """One real step; the names of the tensors that it changed."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.05), lr=lr)
    model(IMAGES, PRESENT).square().sum().backward()
    optimizer.step()
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize(
    ("backbone", "num_stages"),
    [(TINY_VIT, 4), (TINY_RESNET, 5), (ConvNetBackbone(widths=(8, 8, 16)), 3), (VGGBackbone(num_blocks=4), 4)],
    ids=["vit", "resnet", "convnet", "vgg"],
)
def test_every_backbone_knows_its_stages_in_order(backbone, num_stages):
    net = classifier(backbone).backbones[0]
    stages = stage_numbers(net, coarse=True)
    assert set(stages) == {name for name, _ in net.named_parameters()}
    assert sorted(set(stages.values())) == list(range(num_stages))
    layers = stage_numbers(net, coarse=False)
    assert len(set(layers.values())) >= num_stages
    ranked = sorted(stages, key=lambda name: layers[name])
    assert [stages[name] for name in ranked] == sorted(stages.values())


@pytest.mark.parametrize("backbone", [TINY_VIT, TINY_RESNET], ids=["vit", "resnet"])
@pytest.mark.parametrize("count", [1, 2])
def test_frozen_stages_stay_as_they_are_and_the_rest_trains(backbone, count):
    model = classifier(backbone, FinetuneSpec(freeze_stages=count))
    stages = stage_numbers(model.backbones[0], coarse=True)
    frozen = {f"backbones.0.{name}" for name, stage in stages.items() if stage < count}
    assert frozen
    assert trained_names(model) == {name for name, _ in model.named_parameters()} - frozen
    changed = step(model)
    assert not [name for name in changed if name in frozen]
    modules = {name.rpartition(".")[0] for name in frozen if "bn" in name}
    assert not [name for name in changed if name.rpartition(".")[0] in modules], "a frozen batch norm moved"
    assert any(name.startswith("backbones.0") for name in changed)


@pytest.mark.parametrize("backbone", [TINY_VIT, TINY_RESNET], ids=["vit", "resnet"])
def test_stages_counted_from_the_end_are_those_left_by_counting_from_the_stem(backbone):
    last = classifier(backbone, FinetuneSpec(train_stages=1))
    stages = stage_numbers(last.backbones[0], coarse=True)
    assert trained_names(last) == trained_names(classifier(backbone, FinetuneSpec(freeze_stages=max(stages.values()))))
    thawing = classifier(backbone, FinetuneSpec(train_stages=1, unfreeze_epochs=1))
    assert trained_names(thawing) == {"head.0.weight", "head.0.bias"}
    set_trainable(thawing, FinetuneSpec(train_stages=1, unfreeze_epochs=1), epoch=9)
    assert trained_names(thawing) == trained_names(last)


def test_the_head_alone_needs_no_backward_through_the_backbone():
    model = classifier(TINY_RESNET, FinetuneSpec(train="head"))
    assert trained_names(model) == {"head.0.weight", "head.0.bias"}
    assert not model.backbones[0].training
    assert not model.features(IMAGES).requires_grad
    assert step(model) == {"head.0.weight", "head.0.bias"}


def test_frozen_parameters_have_no_optimizer_state():
    model = classifier(spec=FinetuneSpec(train="head"))
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.05))
    model(IMAGES, PRESENT).sum().backward()
    optimizer.step()
    assert sum(state["exp_avg"].numel() for state in optimizer.state.values()) == model.num_trainable() == 24 * 4 + 4


def test_stages_thaw_one_by_one_from_the_last():
    spec = FinetuneSpec(unfreeze_epochs=2, freeze_stages=1)
    model = classifier(spec=spec)
    stages = stage_numbers(model.backbones[0], coarse=True)
    seen = []
    for epoch in (0, 1, 2, 3, 4, 6, 8, 50):
        set_trainable(model, spec, epoch=epoch)
        names = trained_names(model)
        seen.append({stage for name, stage in stages.items() if f"backbones.0.{name}" in names})
        assert "head.0.weight" in names
    assert seen == [set(), set(), {3}, {3}, {2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}]
    set_trainable(model, spec, epoch=3)
    assert {stages[name.removeprefix("backbones.0.")] for name in trained_names(model) if "backbones" in name} == {3}


def test_dropout_of_a_frozen_part_is_off():
    model = classifier(TINY_VIT.changed({"drop_path_rate": 0.5}), FinetuneSpec(freeze_stages=2))
    assert [block.training for block in model.backbones[0].blocks] == [False, True, True]
    model.eval()
    assert not model.backbones[0].blocks[2].training


def test_frozen_batch_norm_keeps_statistics_and_parameters():
    model = classifier(TINY_RESNET, FinetuneSpec(freeze_norm=True))
    norms = {name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)}
    changed = step(model)
    assert norms
    assert not [name for name in changed if name.rpartition(".")[0] in norms]
    assert {name for name in changed if name.startswith("backbones.0.conv1")}
    changed = step(classifier(TINY_RESNET, FinetuneSpec(freeze_norm=False)))
    assert {f"{name}.running_mean" for name in norms} <= changed


def test_folded_batch_norm_is_recognised():
    model = classifier(TINY_RESNET)
    assert has_folded_norm(model)
    assert not has_folded_norm(classifier())
    step(model)
    assert not has_folded_norm(model)


@pytest.mark.parametrize("backbone", [TINY_VIT, TINY_RESNET], ids=["vit", "resnet"])
def test_layers_further_down_get_lower_rates(backbone):
    model = classifier(backbone)
    groups = parameter_groups(model, 0.05, layer_decay=0.5)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert groups[0]["lr_scale"] == 1.0
    scale_of = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    layers = stage_numbers(model.backbones[0], coarse=False)
    top = max(layers.values())
    for name, parameter in model.named_parameters():
        layer = layers.get(name.removeprefix("backbones.0."), top + 1)
        assert scale_of[id(parameter)] == 0.5 ** (top + 1 - layer)


def test_without_decay_there_is_one_rate():
    assert {group["lr_scale"] for group in parameter_groups(classifier(), 0.05)} == {1.0}


LORA = FinetuneSpec(lora=LoraSpec(rank=2, alpha=6.0))


@pytest.mark.parametrize("backbone", [TINY_VIT, TINY_BEIT], ids=["vit", "beit"])
def test_lora_is_nothing_at_the_start_and_merges_into_a_plain_model(backbone):
    plain = classifier(backbone).eval()
    model = classifier(backbone, LORA).eval()
    model.load_state_dict({**model.state_dict(), **{f"head.{k}": v for k, v in plain.head.state_dict().items()}})
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES, PRESENT), plain(IMAGES, PRESENT))
        names = {name for name, _ in model.named_parameters() if name.endswith((".down", ".up"))}
        assert len(names) == 2 * 4 * len(plain.backbones[0].blocks)
        assert trained_names(model) == names | {"head.0.weight", "head.0.bias"}
    # After two steps both factors have moved (at first B is zero, so A has no gradient).
    assert step(model) | step(model) == names | {"head.0.weight", "head.0.bias"}
    model.eval()
    with torch.no_grad():
        trained = model(IMAGES, PRESENT)
        assert not torch.allclose(trained, plain(IMAGES, PRESENT), atol=1e-3)
        plain.load_state_dict(plain_state(model))
        torch.testing.assert_close(plain(IMAGES, PRESENT), trained, atol=1e-5, rtol=1e-5)
        merge_lora(model)
        torch.testing.assert_close(model.state_dict(), plain.state_dict(), atol=0, rtol=0)


def test_the_plain_state_of_a_plain_model_is_its_state():
    model = classifier()
    torch.testing.assert_close(plain_state(model), dict(model.state_dict()), atol=0, rtol=0)


def test_a_copy_of_a_lora_model_is_its_own():
    model = classifier(spec=LORA)
    twin = copy.deepcopy(model)
    step(model)
    assert not torch.equal(model.backbones[0].blocks[0].attn.qkv.up, twin.backbones[0].blocks[0].attn.qkv.up)


@pytest.mark.parametrize(
    ("backbone", "spec", "sentence"),
    [
        (TINY_RESNET, LORA, "no linear layers, because it is no transformer"),
        (TINY_VIT, FinetuneSpec(freeze_norm=True), "has no batch norm"),
        (TINY_VIT, FinetuneSpec(train_stages=4), "train_stages: 4 of 4 stages freezes nothing; leave it out"),
        (TINY_VIT, FinetuneSpec(freeze_stages=4), "4 of 4 stages leaves nothing .* say finetune.train=head"),
    ],
)
def test_what_does_not_fit_the_backbone_is_refused(backbone, spec, sentence):
    with pytest.raises(RecipeError, match=sentence):
        classifier(backbone, spec)
