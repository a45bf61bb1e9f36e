"""Losses of ordered classes against values worked out by hand, and their gradients against finite differences."""

import math

import pytest
import torch
from torch.nn import functional

from obverse.decisions import class_logits, hard_targets
from obverse.losses import build_objective, ordinal
from obverse.recipe import LossSpec, OutputSpec

ORDINAL = ["sord", "emd", "corn", "coral"]
COUNTS = [5, 5, 5, 5]


def objective_of(kind, **fields):
    return build_objective(LossSpec(kind=kind, decode="mode", **fields), counts=COUNTS)


def outputs_of(kind, *, rows=3, seed=0):
    return torch.randn(rows, objective_of(kind).output.num_outputs(4), generator=torch.Generator().manual_seed(seed))


def log1p_exp(x):
    return math.log(1 + math.exp(x))


def test_sord_targets_by_hand():
    total = 1 + 2 / math.e + 1 / math.e**2
    expected = [1 / math.e / total, 1 / total, 1 / math.e / total, 1 / math.e**2 / total]
    assert ordinal.sord_targets(4)[1].tolist() == pytest.approx(expected)


def test_sord_is_cross_entropy_with_those_targets():
    logits, labels = outputs_of("sord"), torch.tensor([0, 3, 1])
    expected = functional.cross_entropy(logits, ordinal.sord_targets(4)[labels], reduction="none")
    torch.testing.assert_close(objective_of("sord").losses(logits, hard_targets(labels, 4)), expected)


def test_squared_emd_by_hand():
    # P(y <= j) = 4/8, 6/8, 7/8, 8/8. Label 2 has 0, 0, 1, 1: (16 + 36 + 1 + 0) / 64.
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    assert ordinal.squared_emd(logits)[0].tolist() == pytest.approx([21 / 64, 21 / 64, 53 / 64, 101 / 64])
    assert ordinal.squared_emd(torch.tensor([[0.0, 200.0, 0.0, 0.0]]))[0].tolist() == pytest.approx([1, 0, 1, 2])


def test_corn_by_hand():
    """Label 1 of 4 is asked two questions: above 0, yes; above 1 given at least 1, no. Label 3 three, all yes."""
    a, b, c = 0.3, -0.7, 1.1
    found = ordinal.corn(torch.tensor([[a, b, c]]))[0].tolist()
    yes, no = [log1p_exp(-x) for x in (a, b, c)], [log1p_exp(x) for x in (a, b, c)]
    assert found == pytest.approx([no[0], yes[0] + no[1], yes[0] + yes[1] + no[2], sum(yes)], rel=1e-5)


def test_corn_s_mean_is_over_questions():
    objective, labels = objective_of("corn"), torch.tensor([0, 1, 2, 3])
    assert objective.weights(hard_targets(labels, 4)).tolist() == [1, 2, 3, 3]


def reference_corn(logits, labels, num_classes):
    """The published loss as written: task by task, over the samples that reach it."""
    total, num_examples = 0.0, 0
    for j in range(num_classes - 1):
        reached = labels > j - 1
        target = (labels[reached] > j).float()
        total += functional.binary_cross_entropy_with_logits(logits[reached, j], target, reduction="sum")
        num_examples += int(reached.sum())
    return total / num_examples


def test_corn_is_the_published_loss():
    logits, labels = outputs_of("corn", rows=20), torch.arange(20) % 4
    objective, targets = objective_of("corn"), hard_targets(labels, 4)
    found = objective.losses(logits, targets).sum() / objective.weights(targets).sum()
    torch.testing.assert_close(found, reference_corn(logits, labels, 4))


def test_coral_by_hand():
    logits, labels = outputs_of("coral", rows=8), torch.arange(8) % 4
    levels = (labels[:, None] > torch.arange(3)).float()
    expected = functional.binary_cross_entropy_with_logits(logits, levels, reduction="none").sum(1)
    torch.testing.assert_close(objective_of("coral").losses(logits, hard_targets(labels, 4)), expected)


@pytest.mark.parametrize("kind", ORDINAL)
def test_a_mixed_target_costs_the_mixture_of_its_labels(kind):
    objective, logits = objective_of(kind, class_weights="sqrt"), outputs_of(kind)
    one, other = hard_targets(torch.tensor([0, 1, 2]), 4), hard_targets(torch.tensor([3, 3, 0]), 4)
    for whole in (objective.weights, lambda t: objective.losses(logits, t)):
        torch.testing.assert_close(whole(0.3 * one + 0.7 * other), 0.3 * whole(one) + 0.7 * whole(other))


def test_squared_emd_of_a_mixture_pulls_as_the_distance_to_the_mixture():
    target = torch.tensor([[0.3, 0.0, 0.7, 0.0]])
    ours, theirs = outputs_of("emd", rows=1).requires_grad_(), outputs_of("emd", rows=1).requires_grad_()
    objective_of("emd").losses(ours, target).sum().backward()
    (theirs.softmax(1).cumsum(1) - target.cumsum(1)).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("kind", ORDINAL)
def test_gradients(kind):
    label_losses = {"sord": ordinal.sord, "emd": ordinal.squared_emd, "corn": ordinal.corn, "coral": ordinal.coral}[
        kind
    ]
    logits = outputs_of(kind).double().requires_grad_()
    assert torch.autograd.gradcheck(label_losses, logits)


@pytest.mark.parametrize("kind", ORDINAL)
def test_extreme_logits_stay_finite(kind):
    logits = (1e4 * outputs_of(kind)).requires_grad_()
    loss = objective_of(kind).losses(logits, hard_targets(torch.tensor([0, 1, 3]), 4)).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("kind", "sure"), [("sord", [9.0, 0, 0, 0]), ("emd", [9.0, 0, 0, 0]), ("coral", [-9.0] * 3)])
def test_far_mistakes_cost_more_than_near_ones(kind, sure):
    costs = objective_of(kind).label_losses(torch.tensor([sure]))[0].tolist()
    assert costs == sorted(set(costs))


@pytest.mark.parametrize("kind", ["corn", "coral"])
def test_class_probabilities_of_ranks_sum_to_one(kind):
    logits = class_logits(3 * outputs_of(kind, rows=50), OutputSpec(kind=kind))
    assert logits.shape == (50, 4)
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(50))
    torch.testing.assert_close(logits.softmax(1), logits.exp())


def test_corn_s_probabilities_are_products_of_conditional_ones():
    a, b, c = (torch.tensor([0.3, -0.7, 1.1]).sigmoid()).tolist()
    found = class_logits(torch.tensor([[0.3, -0.7, 1.1]]), OutputSpec(kind="corn")).exp()[0].tolist()
    assert found == pytest.approx([1 - a, a * (1 - b), a * b * (1 - c), a * b * c], rel=1e-5)


def test_coral_s_probabilities_are_differences_and_never_negative():
    a, b, c = (torch.tensor([1.0, 0.5, -2.0]).sigmoid()).tolist()
    found = class_logits(torch.tensor([[1.0, 0.5, -2.0]]), OutputSpec(kind="coral")).exp()[0].tolist()
    assert found == pytest.approx([1 - a, a - b, b - c, c], rel=1e-5)
    disordered = class_logits(torch.tensor([[0.5, 1.0, -2.0]]), OutputSpec(kind="coral")).exp()[0].tolist()
    assert disordered == pytest.approx([1 - b, 0, b - c, c], abs=1e-6)


def test_the_true_label_costs_least_where_the_model_is_sure_of_it():
    """With certainty for class k, both heads' losses are least for label k, and so are their probabilities largest."""
    for kind in ("corn", "coral"):
        for k in range(4):
            logits = torch.where(torch.arange(3) < k, 9.0, -9.0)[None]
            assert int(objective_of(kind).label_losses(logits).argmin()) == k
            assert int(class_logits(logits, OutputSpec(kind=kind)).argmax()) == k


def test_rows_of_nan_stay_nan():
    for kind in ("classes", "corn", "coral"):
        row = class_logits(torch.full((1, 3), torch.nan), OutputSpec(kind=kind))
        assert torch.isnan(row).all()
