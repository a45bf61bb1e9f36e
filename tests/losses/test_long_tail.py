"""Losses for uneven classes: against their formulas, Bayes' rule, and on a tiny uneven toy."""

import math

import pytest
import torch
from torch.nn import functional

from obverse.decisions import build_output, class_logits, hard_targets
from obverse.errors import RecipeError
from obverse.losses import build_objective, class_weights, nominal
from obverse.recipe import COSINE_SCALE, LossSpec, OutputSpec

COUNTS = [80, 15, 5]
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
LABELS = torch.tensor([0, 2, 1, 1])
HARD = hard_targets(LABELS, 3)


def objective_of(**fields):
    return build_objective(LossSpec(decode="mode", **fields), counts=COUNTS)


def test_focal_by_hand():
    p = LOGITS.softmax(1)[torch.arange(4), LABELS]
    expected = -((1 - p) ** 1.5) * p.log()
    torch.testing.assert_close(objective_of(kind="focal", gamma=1.5).losses(LOGITS, HARD), expected)


def test_focal_without_gamma_is_cross_entropy_and_a_sure_sample_has_finite_slope():
    torch.testing.assert_close(
        objective_of(kind="focal", gamma=0.0).losses(LOGITS, HARD),
        functional.cross_entropy(LOGITS, LABELS, reduction="none"),
    )
    sure = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    objective_of(kind="focal", gamma=0.5).losses(sure, HARD[:1]).sum().backward()
    assert torch.isfinite(sure.grad).all()


def test_logit_adjustment_by_hand():
    prior = torch.tensor([0.8, 0.15, 0.05])
    expected = functional.cross_entropy(LOGITS + 1.5 * prior.log(), LABELS, reduction="none")
    found = objective_of(kind="logit-adjustment", tau=1.5, prior="train").losses(LOGITS, HARD)
    torch.testing.assert_close(found, expected)


def test_balanced_softmax_is_logit_adjustment_with_tau_one():
    """Against its own formula: p_y = n_y exp z_y / sum_k n_k exp z_k."""
    terms = torch.tensor(COUNTS) * LOGITS.exp()
    expected = -(terms / terms.sum(1, keepdim=True)).log()[torch.arange(4), LABELS]
    for kind in ("balanced-softmax", "logit-adjustment"):
        torch.testing.assert_close(objective_of(kind=kind, prior="balanced").losses(LOGITS, HARD), expected)


@pytest.mark.parametrize("tau", [0.0, 1.0, 1.5])
def test_smoothing_leaves_the_logits_of_a_network_that_knows_nothing_equal(tau):
    """Whatever is added to them: where they are equal, smoothing only weakens what the labels say."""
    adjusted = {"kind": "logit-adjustment", "prior": "balanced", "tau": tau} if tau else {"kind": "cross-entropy"}

    def slope(smoothing):
        logits = torch.zeros(3, 3, requires_grad=True)
        objective_of(label_smoothing=smoothing, **adjusted).losses(logits, torch.eye(3)).sum().backward()
        return logits.grad

    expected = (tau * torch.tensor([0.8, 0.15, 0.05]).log()).softmax(0) - torch.eye(3)
    torch.testing.assert_close(slope(0.0), expected)
    torch.testing.assert_close(slope(0.3), 0.7 * expected)


def deployed(prior):
    return build_output(LossSpec(kind="logit-adjustment", prior=prior, decode="mode"), counts=COUNTS)


def test_the_deployment_prior_is_bayes_rule():
    """From p(x|y) alone: f = log p(x|y) must give the posterior under each prior."""
    likelihood = torch.tensor([[0.2, 0.5, 0.9]])
    for prior, shares in (
        ("balanced", [1 / 3] * 3),
        ("train", [0.8, 0.15, 0.05]),
        ((1.0, 1.0, 2.0), [0.25, 0.25, 0.5]),
    ):
        joint = likelihood * torch.tensor(shares)
        found = class_logits(likelihood.log() + 7.0, deployed(prior)).softmax(1)
        torch.testing.assert_close(found, joint / joint.sum())


def test_a_network_fitted_with_it_gives_the_train_posterior_where_train_is_deployed():
    """What the loss trains and what prediction adds are one and the same: the loss is the deployed cross entropy."""
    logits = class_logits(LOGITS, deployed("train"))
    expected = functional.cross_entropy(logits, LABELS, reduction="none")
    torch.testing.assert_close(objective_of(kind="logit-adjustment", prior="train").losses(LOGITS, HARD), expected)


def test_a_prior_of_another_length_is_refused():
    with pytest.raises(RecipeError, match="2 numbers for 3 classes"):
        deployed((1.0, 2.0))


def test_a_class_without_training_samples_has_a_finite_prior():
    objective = build_objective(LossSpec(kind="logit-adjustment", prior="train", decode="mode"), counts=[9, 0, 1])
    assert torch.isfinite(objective.losses(LOGITS, HARD)).all()
    assert build_output(LossSpec(kind="balanced-softmax", prior="train", decode="mode"), counts=[9, 0, 1]).prior[1] > 0


def test_ldam_by_hand():
    margins = nominal.ldam_margins(COUNTS, 0.5)
    assert margins.tolist() == pytest.approx([0.5 * (n / 5) ** -0.25 for n in COUNTS])
    lowered = COSINE_SCALE * (LOGITS / COSINE_SCALE - margins[LABELS, None] * HARD)
    expected = functional.cross_entropy(lowered, LABELS, reduction="none")
    found = objective_of(kind="ldam").losses(LOGITS, HARD)
    torch.testing.assert_close(found, expected)
    assert objective_of(kind="ldam").output == OutputSpec(kind="cosine")


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_ldam_without_margin_is_cross_entropy_at_any_scale(scale):
    logits = scale * torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    found = nominal.ldam(logits, torch.zeros(6))
    torch.testing.assert_close(found, nominal.cross_entropy(logits), atol=1e-4, rtol=1e-4)


def test_ldam_s_gradient():
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    margins = torch.tensor([0.5, 0.2, 0.1, 0.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: nominal.ldam(z, margins), logits)


def test_deferred_weights_begin_at_their_share_of_the_run():
    objective = objective_of(class_weights="inverse", kind="cross-entropy", defer_fraction=0.8)
    plain = objective_of(kind="cross-entropy")
    for fraction in (0.0, 0.5, 0.79):
        early = objective.at(fraction)
        torch.testing.assert_close(early.losses(LOGITS, HARD), plain.losses(LOGITS, HARD))
        assert early.weights(HARD).tolist() == [1, 1, 1, 1]
    weights = torch.tensor(class_weights(COUNTS, "inverse", beta=0.0))
    for fraction in (160 * 7 / (200 * 7), 1.0):
        torch.testing.assert_close(objective.at(fraction).weights(HARD), weights[LABELS])


def test_without_deferring_weights_hold_from_the_start():
    objective = objective_of(class_weights="inverse", kind="cross-entropy")
    assert objective.at(0.0).weights_K.tolist() == objective.at(1.0).weights_K.tolist() != [1, 1, 1]


LONG_TAIL = {
    "inverse": {"kind": "cross-entropy", "class_weights": "inverse"},
    "sqrt": {"kind": "cross-entropy", "class_weights": "sqrt"},
    "effective": {"kind": "cross-entropy", "class_weights": "effective", "effective_beta": 0.999},
    "deferred": {"kind": "cross-entropy", "class_weights": "inverse", "defer_fraction": 0.5},
    "logit-adjustment": {"kind": "logit-adjustment", "prior": "balanced"},
    "balanced-softmax": {"kind": "balanced-softmax", "prior": "balanced"},
}


def uneven_toy():
    """Three overlapping Gaussians, 400 : 40 : 8; the test set is even."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])

    def draw(counts):
        labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
        return centres[labels] + torch.randn(len(labels), 2, generator=generator), labels

    return draw([400, 40, 8]), draw([500, 500, 500])


def balanced_accuracy(fields):
    (x, y), (test_x, test_y) = uneven_toy()
    objective = build_objective(LossSpec(decode="mode", **fields), counts=[400, 40, 8])
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    targets = hard_targets(y, 3)
    for step in range(200):
        now = objective.at(step / 200)
        optimizer.zero_grad()
        (now.losses(model(x), targets).sum() / now.weights(targets).sum()).backward()
        optimizer.step()
    predicted = class_logits(model(test_x), objective.output).argmax(1)
    return float((predicted == test_y).float().mean())


@pytest.mark.parametrize("name", LONG_TAIL)
def test_it_beats_plain_cross_entropy_on_an_uneven_toy(name):
    plain = balanced_accuracy({"kind": "cross-entropy"})
    assert plain < 0.5
    assert balanced_accuracy(LONG_TAIL[name]) > plain + 0.05


def test_deployed_for_the_training_frequencies_it_is_plain_cross_entropy():
    plain = balanced_accuracy({"kind": "cross-entropy"})
    assert math.isclose(balanced_accuracy({"kind": "logit-adjustment", "prior": "train"}), plain, abs_tol=0.05)
