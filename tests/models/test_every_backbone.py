"""What every backbone owes the rest: any size, stages, checkpointing, LoRA, fused attention, bundle, shapes alone."""

import pytest
import torch
from torch.nn import functional

from obverse.bundle import Bundle, read_bundle, write_bundle
from obverse.data import Geometry
from obverse.models import (
    build_classifier,
    enable_checkpointing,
    input_needs,
    merge_lora,
    parameter_groups,
    plain_state,
    prepare,
    set_trainable,
    sync_batch_norms,
)
from obverse.models.adapt.groups import stage_numbers
from obverse.recipe import FinetuneSpec, LoraSpec, ModelSpec, OutputSpec

PRESENT = torch.ones(4, 2, dtype=torch.bool)
LORA = FinetuneSpec(lora=LoraSpec(rank=2))
SIZES = [(48, 48), (32, 64), (45, 39)]


def fitted(backbone, height=32, width=48):
    """The canvas for pictures of this size."""
    multiple = input_needs(ModelSpec(backbone=backbone)).multiple
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def classifier(backbone, height=32, width=48, device=None):
    torch.manual_seed(0)
    height, width = fitted(backbone, height, width)
    with torch.device(device or "cpu"):
        return build_classifier(
            ModelSpec(backbone=backbone), num_views=2, num_classes=3, height=height, width=width, load_weights=False
        )


def images_for(backbone, height=32, width=48):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 2, 3, *fitted(backbone, height, width), generator=generator)


def step(model, images_BVCHW):
    torch.manual_seed(1)
    model.train()
    model(images_BVCHW, PRESENT).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("size", SIZES, ids=["square", "2:1", "odd"])
def test_squares_rectangles_and_odd_sizes(backbone, size):
    model = classifier(backbone, *size)
    images = images_for(backbone, *size)
    grads = step(model, images)
    silent = {name for name, grad in grads.items() if grad is None}
    assert silent <= {"fusion.missing_VD", "backbones.0.net.dinov2.embeddings.mask_token"}
    model.eval()
    with torch.no_grad():
        logits = model(images, PRESENT)
        torch.testing.assert_close(model(images[1:2], PRESENT[1:2]), logits[1:2], atol=1e-4, rtol=1e-4)
        assert not torch.allclose(model(images.flip(-1), PRESENT), logits, atol=1e-6)


def test_stages_and_layers_are_in_order(backbone):
    net = classifier(backbone).backbones[0]
    stages, layers = stage_numbers(net, coarse=True), stage_numbers(net, coarse=False)
    assert set(stages) == set(layers) == {name for name, _ in net.named_parameters()}
    assert sorted(set(stages.values())) == list(range(len(set(stages.values()))))
    assert len(set(stages.values())) >= 3
    ranked = sorted(stages, key=lambda name: layers[name])
    assert [stages[name] for name in ranked] == sorted(stages.values())


def test_layer_decay_reaches_every_parameter(backbone):
    model = classifier(backbone)
    groups = parameter_groups(model, 0.05, layer_decay=0.5)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert len({group["lr_scale"] for group in groups}) >= 4


def test_freezing_the_first_stage_leaves_the_rest(backbone):
    model = classifier(backbone)
    spec = FinetuneSpec(freeze_stages=1)
    prepare(model, spec)
    set_trainable(model, spec)
    stages = stage_numbers(model.backbones[0], coarse=True)
    frozen = {name for name, p in model.backbones[0].named_parameters() if not p.requires_grad}
    assert frozen == {name for name, stage in stages.items() if stage == 0}
    assert frozen


def test_checkpointing_changes_nothing_but_the_memory(backbone):
    results = []
    for checkpointing in (False, True):
        model = classifier(backbone)
        if checkpointing:
            enable_checkpointing(model)
        kept = {}

        def keep(tensor, kept=kept):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        images = images_for(backbone)
        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = model.train()(images, PRESENT).square().sum()
        size = sum(kept.values())
        loss.backward()
        results.append(({n: p.grad for n, p in model.named_parameters()}, dict(model.named_buffers()), size))
    (plain, buffers, size), (again, buffers_again, smaller) = results
    torch.testing.assert_close(again, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(buffers_again, buffers, atol=0, rtol=0)
    assert smaller < 0.9 * size


def test_it_is_planned_on_shapes_alone(backbone):
    model = classifier(backbone, device="meta")
    logits = model(torch.empty(4, 2, 3, *fitted(backbone), device="meta"), PRESENT.to("meta"))
    assert logits.shape == (4, 3)
    assert logits.device.type == "meta"


def test_synced_norms_take_the_place_of_batch_norms(backbone):
    model = classifier(backbone)
    names = list(model.state_dict())
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert len(sync_batch_norms(model)) == len(norms)
    assert list(model.state_dict()) == names


def shipped(backbone, folder, model):
    height, width = fitted(backbone)
    bundle = Bundle(
        classes=("a", "b", "c"),
        ordered=False,
        views=("obverse", "reverse"),
        geometry=Geometry(height, width, height, width),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelSpec(backbone=backbone),
        output=OutputSpec(),
    )
    write_bundle(folder, bundle, plain_state(model))
    return read_bundle(folder)


def test_the_bundle_answers_the_same(backbone, tmp_path):
    model = classifier(backbone)
    step(model, images_for(backbone))
    bundle, again = shipped(backbone, tmp_path, model)
    assert bundle.model.backbone == backbone
    with torch.no_grad():
        expected = model.eval()(images_for(backbone), PRESENT)
        torch.testing.assert_close(again(images_for(backbone), PRESENT), expected, atol=1e-6, rtol=1e-5)


@pytest.fixture
def fused_calls(monkeypatch):
    """How often torch's fused attention was asked, with how many tokens."""
    calls, fused = [], functional.scaled_dot_product_attention

    def counted(query, *inputs, **options):
        calls.append(query.shape[-2])
        return fused(query, *inputs, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    return calls


def test_attention_stays_fused(attentive, fused_calls, tmp_path):
    images = images_for(attentive)
    model = classifier(attentive)
    fused_calls.clear()
    step(model, images)
    assert len(fused_calls) == 2  # one per layer
    fused_calls.clear()
    enable_checkpointing(model)
    step(model, images)
    assert len(fused_calls) == 4  # once more in the backward pass
    prepare(model, LORA)
    fused_calls.clear()
    step(model, images)
    assert len(fused_calls) == 4
    _, again = shipped(attentive, tmp_path, model)
    fused_calls.clear()
    with torch.no_grad():
        again(images, PRESENT)
    assert len(fused_calls) == 2


def test_lora_adapts_attention_and_merges(attentive):
    model = classifier(attentive)
    images = images_for(attentive)
    before = model.eval()(images, PRESENT)
    prepare(model, LORA)
    set_trainable(model, LORA)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images, PRESENT), before)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        step(model, images)
        optimizer.step()
    with torch.no_grad():
        trained = model.eval()(images, PRESENT)
        assert not torch.allclose(trained, before, atol=1e-3)
        merge_lora(model)
        torch.testing.assert_close(model(images, PRESENT), trained, atol=1e-5, rtol=1e-4)
    assert list(model.state_dict()) == list(classifier(attentive).state_dict())
