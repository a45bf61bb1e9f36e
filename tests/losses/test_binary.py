"""Binary cross entropy of label sets: torch's own function as oracle, mixing and smoothing, one division."""

import pytest
import torch
from torch.nn import functional

from obverse.decisions import LabelSet, kind_of
from obverse.losses import build_objective
from obverse.losses.binary import presence_weights
from obverse.recipe import LossSpec, OutputSpec

COUNTS, NUM = [30, 10, 2], 40


def objective_of(**fields):
    spec = LossSpec(kind="binary-cross-entropy", decode="mode", **fields)
    return build_objective(spec, counts=COUNTS, num_samples=NUM)


@pytest.fixture
def logits():
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def sets():
    return torch.randint(0, 2, (8, 3), generator=torch.Generator().manual_seed(1)).float()


def mean_of(objective, logits, targets):
    return objective.losses(logits, targets).sum() / objective.weights(targets).sum()


def test_plain_is_torchs_mean(logits, sets):
    expected = functional.binary_cross_entropy_with_logits(logits, sets)
    torch.testing.assert_close(mean_of(objective_of(), logits, sets), expected)


@pytest.mark.parametrize(
    ("kind", "expected"), [("balanced", [10 / 30, 3.0, 19.0]), ("sqrt", [(10 / 30) ** 0.5, 3**0.5, 19**0.5])]
)
def test_pos_weight_is_torchs(logits, sets, kind, expected):
    torch.testing.assert_close(presence_weights(COUNTS, NUM, kind), torch.tensor(expected))
    wanted = functional.binary_cross_entropy_with_logits(logits, sets, pos_weight=torch.tensor(expected))
    torch.testing.assert_close(mean_of(objective_of(pos_weight=kind), logits, sets), wanted)


def test_a_class_that_none_or_all_have_weighs_one():
    assert presence_weights([0, 40, 20], NUM, "balanced").tolist() == [1.0, 1.0, 1.0]


def test_class_weights_weigh_classes_in_sum_and_divisor(logits, sets):
    objective = objective_of(class_weights="inverse")
    each = functional.binary_cross_entropy_with_logits(logits, sets, reduction="none")
    weights = objective.weights_K
    assert weights[2] > weights[1] > weights[0]
    torch.testing.assert_close(mean_of(objective, logits, sets), (each * weights).sum() / (8 * weights.sum()))


def test_smoothing_moves_targets_to_a_half_before_any_weight(logits, sets):
    smoothed = 0.8 * sets + 0.1
    weights = presence_weights(COUNTS, NUM, "balanced")
    wanted = functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights)
    found = mean_of(objective_of(label_smoothing=0.2, pos_weight="balanced"), logits, sets)
    torch.testing.assert_close(found, wanted)


def test_a_mixed_set_costs_the_mixture_of_its_costs(logits, sets):
    objective = objective_of(label_smoothing=0.1, pos_weight="sqrt")
    other, share = sets.flip(0), torch.linspace(0, 1, 8)
    mixed = share[:, None] * sets + (1 - share[:, None]) * other
    wanted = share * objective.losses(logits, sets) + (1 - share) * objective.losses(logits, other)
    torch.testing.assert_close(objective.losses(logits, mixed), wanted)
    torch.testing.assert_close(objective.weights(mixed), objective.weights(sets))


def test_an_empty_set_counts_like_any_other(logits):
    nothing = torch.zeros(8, 3)
    objective = objective_of()
    assert objective.weights(nothing).tolist() == [3.0] * 8
    assert (objective.losses(logits, nothing) > 0).all()


def test_parts_add_up_to_the_whole(logits, sets):
    objective = objective_of(class_weights="sqrt")
    parts = [
        (objective.losses(z, t).sum(), objective.weights(t).sum())
        for z, t in ((logits[:3], sets[:3]), (logits[3:], sets[3:]))
    ]
    whole = sum(loss for loss, _ in parts) / sum(weight for _, weight in parts)
    torch.testing.assert_close(whole, mean_of(objective, logits, sets))


def test_deferred_weights_begin_late():
    objective = objective_of(class_weights="inverse", defer_fraction=0.5)
    assert objective.at(0.4).weights_K.tolist() == [1.0, 1.0, 1.0]
    assert objective.at(0.5) is objective


def test_large_logits_stay_finite():
    losses = objective_of().losses(torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([[0.0, 1.0, 1.0]]))
    assert torch.isfinite(losses).all()


def test_probabilities_are_sigmoids_and_thresholds_decide():
    kind = kind_of(OutputSpec(kind="binary", thresholds=(0.2, 0.9)))
    logits = torch.tensor([[0.0, 0.0], [float("nan"), 3.0]])
    found = kind.probabilities(logits)
    assert found[0].tolist() == [0.5, 0.5]
    assert kind.decide(found).tolist() == [[True, False], [False, True]]
    assert LabelSet().decide(found).tolist() == [[True, True], [False, True]]
