"""Linear heads on fixed features against scikit-learn, and the solver's own invariants."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from obverse.losses import Components, fit_linear, sord_targets


def problem(num=60, width=12, classes=3, seed=0):
    """Features of unequal scales and offsets with noisy labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, num)
    features = rng.normal(size=(classes, width))[labels] + 1.5 * rng.normal(size=(num, width))
    features = features * 10.0 ** rng.integers(-1, 2, width) + rng.normal(size=width) * 5
    return torch.tensor(features, dtype=torch.float32), torch.tensor(labels)


def standardised(features, rows):
    """Centred, with a mean variance of 1: relative scales stay."""
    features = features.double().numpy()
    return (features - features[rows].mean(0)) / np.sqrt(features[rows].var(0).mean())


@pytest.mark.parametrize("strength", [1e-3, 3e-2, 1.0])
def test_softmax_heads_equal_those_of_scikit_learn(strength):
    features, labels = problem()
    rows = np.arange(60) % 4 > 0
    heads = fit_linear(
        features, functional.one_hot(labels, 3), [strength], weights_N=torch.tensor(rows), tolerance=1e-8
    )
    scaled = standardised(features, rows)
    oracle = LogisticRegression(C=1 / (strength * rows.sum()), tol=1e-10, max_iter=10_000)
    oracle.fit(scaled[rows], labels.numpy()[rows])
    np.testing.assert_allclose(heads.probabilities(features)[0].numpy(), oracle.predict_proba(scaled), atol=1e-5)


def test_sigmoid_heads_equal_one_logistic_regression_per_label():
    features, labels = problem(seed=1)
    sets = torch.stack([labels == 0, labels != 2], 1)
    heads = fit_linear(features, sets, [0.01], link="sigmoid", tolerance=1e-8)
    scaled = standardised(features, slice(None))
    for label in range(2):
        oracle = LogisticRegression(C=1 / (0.01 * 60), tol=1e-10, max_iter=10_000).fit(scaled, sets[:, label].numpy())
        ours = heads.probabilities(features)[0, :, label].numpy()
        np.testing.assert_allclose(ours, oracle.predict_proba(scaled)[:, 1], atol=1e-5)


def test_soft_targets_are_weighted_copies_of_hard_labels():
    features, labels = problem(num=40, classes=4, seed=2)
    targets = sord_targets(4)[labels]
    soft = fit_linear(features, targets, [0.02], tolerance=1e-8)
    copies, classes = features.repeat_interleave(4, 0), torch.eye(4).repeat(40, 1)
    hard = fit_linear(copies, classes, [0.02], weights_N=targets.flatten(), tolerance=1e-8)
    torch.testing.assert_close(soft.probabilities(features), hard.probabilities(features), atol=1e-5, rtol=0)


def test_strengths_do_not_influence_one_another():
    features, labels = problem(seed=3)
    targets = functional.one_hot(labels, 3)
    together = fit_linear(features, targets, [1e-4, 0.1, 1.0], tolerance=1e-8)
    for place, strength in enumerate([1e-4, 0.1, 1.0]):
        alone = fit_linear(features, targets, [strength], tolerance=1e-8)
        torch.testing.assert_close(together.weights_SKD[place], alone.weights_SKD[0], atol=1e-5, rtol=1e-4)


def test_gradient_vanishes_at_the_solution():
    """Through torch's own derivative of the objective as the docstring states it."""
    features, labels = problem(num=25, width=50, seed=4)
    scaled = torch.tensor(standardised(features, slice(None)))
    head = fit_linear(scaled, functional.one_hot(labels, 3), [0.01], tolerance=1e-7)
    weights = head.weights_SKD[0].requires_grad_()
    loss = functional.cross_entropy(scaled @ weights.T + head.biases_SK[0], labels) + 0.005 * weights.square().sum()
    assert torch.autograd.grad(loss, weights)[0].abs().max() < 1e-6


def test_constant_features_and_classes_without_samples_are_finite():
    features, labels = problem(seed=5)
    features[:, 0] = 1e4
    heads = fit_linear(features, functional.one_hot(labels, 5), [1e-4, 1.0])
    probabilities = heads.probabilities(features)
    assert probabilities.isfinite().all()
    assert probabilities[:, :, 3:].max() < 0.01


def test_same_heads_twice():
    features, labels = problem(seed=6)
    first, second = (fit_linear(features, functional.one_hot(labels, 3)) for _ in range(2))
    assert torch.equal(first.weights_SKD, second.weights_SKD)


def test_components_serve_several_heads():
    features, labels = problem(seed=7)
    targets, components = functional.one_hot(labels, 3), Components.of(features)
    for one in (targets, sord_targets(3)[labels]):
        shared, own = fit_linear(components, one, [0.03]), fit_linear(features, one, [0.03])
        assert torch.equal(shared.weights_SKD, own.weights_SKD)
