"""One optimizer step: accumulation, clipping, and stopping before harm is done."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from obverse.data import Batch
from obverse.engines import Forward
from obverse.errors import DivergedError
from obverse.losses import build_objective, class_weights
from obverse.models import build_classifier
from obverse.recipe import HeadSpec, LossSpec, ModelSpec, VGGBackbone
from obverse.training import MicroBatches, Update, train_step
from obverse.training.parallel import Parallel

FORWARD = Forward((0.5,) * 3, (0.5,) * 3, torch.device("cpu"))


@pytest.fixture
def model():
    torch.manual_seed(0)
    spec = ModelSpec(backbone=VGGBackbone(num_blocks=4, pool="mean"), head=HeadSpec(hidden=(8,)))
    return build_classifier(spec, num_views=1, num_classes=3, height=16, width=16).train()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return Batch(
        torch.randint(0, 256, (8, 1, 3, 16, 16), generator=generator, dtype=torch.uint8),
        torch.ones(8, 1, dtype=torch.bool),
        torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
        torch.ones(8, dtype=torch.bool),
        tuple(f"id{n}" for n in range(8)),
    )


def step(model, batch, *, micro=8, clip=None, lr=0.1, **loss):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    objective = build_objective(LossSpec(kind="cross-entropy", decode="mode", **loss), counts=[30, 20, 1])
    return train_step(
        Parallel(model), Update(optimizer, clip), FORWARD, batch, micro_batches=MicroBatches(micro), objective=objective
    )


def copy_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("weights", ["none", "inverse"])
@pytest.mark.parametrize("micro", [1, 2, 3, 4])
def test_accumulated_micro_batches_are_one_batch(model, batch, micro, weights):
    start = copy_of(model)
    whole = step(model, batch, class_weights=weights)
    expected = copy_of(model)
    model.load_state_dict(start)
    parts = step(model, batch, micro=micro, class_weights=weights)
    assert parts.loss_sum == pytest.approx(whole.loss_sum, abs=1e-5)
    assert (parts.weight, parts.num_correct) == (whole.weight, whole.num_correct)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-6)
        assert not torch.equal(tensor, start[name])


def test_a_padded_sample_neither_counts_nor_teaches(model, batch):
    start = copy_of(model)
    step(model, batch.split(6)[0])
    expected = copy_of(model)
    model.load_state_dict(start)
    result = step(model, replace(batch, valid_B=torch.tensor([True] * 6 + [False] * 2)))
    assert result.weight == 6
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-6)


def test_a_batch_of_padding_only_changes_nothing(model, batch):
    start = copy_of(model)
    result = step(model, replace(batch, valid_B=torch.zeros(8, dtype=torch.bool)))
    assert (result.loss_sum, result.weight, result.num_correct, result.num_samples) == (0, 1, 0, 0)
    assert all(torch.equal(tensor, start[name]) for name, tensor in model.state_dict().items())


def test_class_weights_reach_the_loss_and_its_divisor(model, batch):
    model.eval()
    weights = torch.tensor(class_weights([30, 20, 1], "inverse", beta=0.0))
    logits = FORWARD.logits(model, batch).detach()
    result = step(model, batch, class_weights="inverse")
    expected = nn.functional.cross_entropy(logits, batch.labels_B, weight=weights)
    assert result.loss_sum / result.weight == pytest.approx(float(expected), rel=1e-5)
    assert result.weight == pytest.approx(float(weights[batch.labels_B].sum()), rel=1e-5)
    assert result.num_samples == 8


def moved(model, start):
    return torch.sqrt(sum((t - start[name]).square().sum() for name, t in model.state_dict().items()))


def test_clipping_bounds_the_step_and_a_high_limit_changes_nothing(model, batch):
    start = copy_of(model)
    step(model, batch, lr=1.0)
    free = copy_of(model)
    length = float(moved(model, start))
    model.load_state_dict(start)
    step(model, batch, lr=1.0, clip=length / 2)
    assert float(moved(model, start)) == pytest.approx(length / 2, rel=1e-4)
    model.load_state_dict(start)
    step(model, batch, lr=1.0, clip=length * 2)
    assert all(torch.equal(tensor, free[name]) for name, tensor in model.state_dict().items())


def test_label_smoothing_reaches_the_loss(model, batch):
    model.eval()
    logits = FORWARD.logits(model, batch).detach()
    expected = nn.functional.cross_entropy(logits, batch.labels_B, label_smoothing=0.3, reduction="sum")
    assert step(model, batch, label_smoothing=0.3).loss_sum == pytest.approx(float(expected), rel=1e-5)


def test_a_loss_that_is_not_finite_names_the_samples_and_changes_no_weight(model, batch):
    nn.init.constant_(model.head[-1].bias, float("nan"))
    start = copy_of(model)
    with pytest.raises(DivergedError, match=r"the loss is nan .* id0, id1, .*id7\. Try") as caught:
        step(model, batch, micro=4)
    assert caught.value.exit_code == 66
    torch.testing.assert_close(copy_of(model), start, atol=0, rtol=0, equal_nan=True)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("micro", [8, 3])
def test_a_diverged_step_leaves_no_trace_in_batch_norm(batch, micro):
    spec = ModelSpec(backbone=VGGBackbone(num_blocks=4, pool="mean", norm="batch"), head=HeadSpec(hidden=(8,)))
    model = build_classifier(spec, num_views=1, num_classes=3, height=16, width=16).train()
    step(model, batch, micro=micro)
    start = copy_of(model)
    model.head[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(DivergedError):
        step(model, batch, micro=micro)
    assert any("running_var" in name for name in start)
    torch.testing.assert_close(copy_of(model), start, atol=0, rtol=0)


@pytest.mark.parametrize("micro", [8, 3])
def test_only_the_sample_whose_own_loss_is_not_finite_is_named(model, batch, micro):
    model.eval()
    batch.images_BVCHW.clamp_(max=254)[5, 0, 0, 0, 0] = 255
    white, forward = FORWARD.inputs(batch).max(), type(model).forward
    model.forward = lambda images, *rest, **options: torch.where(
        (images == white).flatten(1).any(1, keepdim=True), float("inf"), forward(model, images, *rest, **options)
    )
    with pytest.raises(DivergedError, match=r"whose loss is not a finite number are id5\. Try"):
        step(model, batch, micro=micro)


def test_a_gradient_that_is_not_finite_stops_too(model, batch):
    model.head[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    start = copy_of(model)
    with pytest.raises(DivergedError, match="gradient norm"):
        step(model, batch)
    assert all(torch.equal(tensor, start[name]) for name, tensor in model.state_dict().items())
