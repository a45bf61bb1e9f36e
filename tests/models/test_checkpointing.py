"""Gradient checkpointing: the same gradients, the same batch-norm statistics, and less kept in memory."""

import pytest
import torch
from torch import nn

from obverse.errors import RecipeError
from obverse.models import Classifier, build_classifier, enable_checkpointing
from obverse.recipe import ConvNetBackbone, ModelSpec, TimmBackbone, VGGBackbone
from obverse.runtime import attention

VIT = TimmBackbone(
    name="vit_tiny_patch16_224",
    pretrained="none",
    drop_path_rate=0.3,
    options={"depth": 3, "embed_dim": 24, "num_heads": 3, "proj_drop_rate": 0.2},
)
BACKBONES = {
    "vit": VIT,
    "resnet": TimmBackbone(name="test_resnet", pretrained="none"),
    "mobilenet": TimmBackbone(name="mobilenetv2_050", pretrained="none"),
    "convnet": ConvNetBackbone(widths=(8, 8, 16)),
    "vgg": VGGBackbone(num_blocks=4, norm="batch", pool="mean"),
}
IMAGES, PRESENT = torch.randn(4, 2, 3, 32, 48), torch.ones(4, 2, dtype=torch.bool)


def backward(model):
    """Gradients, buffers, and the bytes that the forward pass keeps for the backward pass."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(IMAGES, PRESENT).square().sum()
    size = sum(kept.values())
    loss.backward()
    return {n: p.grad for n, p in model.named_parameters()}, dict(model.named_buffers()), size


@pytest.mark.parametrize("name", BACKBONES)
def test_nothing_but_the_memory_changes(name):
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = build_classifier(ModelSpec(backbone=BACKBONES[name]), num_views=2, num_classes=3, height=32, width=48)
        if checkpointing:
            enable_checkpointing(model)
        results.append(backward(model))
    (plain, buffers, size), (again, buffers_again, smaller) = results
    torch.testing.assert_close(again, plain, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(buffers_again, buffers, atol=0, rtol=0)
    assert smaller < 0.8 * size


def test_attention_in_bf16_is_torchs_where_it_is_computed_twice(monkeypatch):
    """In blocks, the second time would be outside of the context in which blocks are used."""
    calls, results = [], []
    in_blocks = attention.blocked_attention
    monkeypatch.setattr(attention, "blocked_attention", lambda *of, **how: calls.append(1) or in_blocks(*of, **how))
    for checkpointing, used in ((False, 3), (True, 0)):
        torch.manual_seed(0)
        model = build_classifier(ModelSpec(backbone=VIT), num_views=2, num_classes=3, height=32, width=48)
        if checkpointing:
            enable_checkpointing(model)
        calls.clear()
        with torch.autocast("cpu", torch.bfloat16):
            model.train()(IMAGES, PRESENT).square().sum().backward()
        assert len(calls) == used
        results.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        calls.clear()
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            model.eval()(IMAGES, PRESENT)
        assert not calls
    assert (results[1] - results[0]).norm() < 0.05 * results[0].norm()


def test_evaluation_is_the_same_and_keeps_nothing():
    torch.manual_seed(0)
    model = build_classifier(ModelSpec(backbone=ConvNetBackbone()), num_views=2, num_classes=3, height=32, width=48)
    model.eval()
    with torch.inference_mode():
        expected = model(IMAGES, PRESENT)
        enable_checkpointing(model)
        torch.testing.assert_close(model(IMAGES, PRESENT), expected, atol=0, rtol=0)


def test_a_backbone_that_cannot_is_refused():
    model = Classifier([nn.Flatten()], nn.Identity(), nn.Identity())
    with pytest.raises(RecipeError, match=r"Flatten does not support it; use a smaller training.micro_batch_size"):
        enable_checkpointing(model)
