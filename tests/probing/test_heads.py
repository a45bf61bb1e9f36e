"""Heads on features: against scikit-learn, by hand, and in degenerate cases."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch.nn import functional

from obverse.probing.heads import Known, class_means, heads_for, nearest_neighbours, ridge_ordinal


def data(num=40, width=6, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % classes
    centres = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    features = centres[labels] + 0.3 * torch.randn(num, width, generator=generator, dtype=torch.float64)
    return features, functional.one_hot(labels, classes).double()


def test_ridge_ordinal_equals_ridge_regression_of_each_question():
    features, targets = data()
    known, others = features[:30], features[30:]
    ours = ridge_ordinal(Known.of(known, targets[:30]), others, [0.5])[0]
    scale = known.var(0, unbiased=False).mean().sqrt()
    scaled, scaled_others = ((x - known.mean(0)) / scale for x in (known, others))
    above = (targets.argmax(1)[:, None] > torch.arange(3)).double()
    # scikit-learn's penalty is on the sum of squares, not on their mean.
    oracle = Ridge(alpha=0.5 * 30).fit(scaled.numpy(), above[:30].numpy()).predict(scaled_others.numpy())
    expected = np.minimum.accumulate(oracle.clip(0, 1), axis=1)
    np.testing.assert_allclose(1 - ours.cumsum(1)[:, :-1].numpy(), expected, atol=1e-9)


def test_neighbours_by_hand():
    known = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)
    targets = functional.one_hot(torch.tensor([0, 1, 1, 1]), 2).double()
    near_first = torch.tensor([[0.9, 0.1]], dtype=torch.float64)
    one, two = nearest_neighbours(Known.of(known, targets), near_first, [1, 2])
    assert one.tolist() == [[1.0, 0.0]]
    cosines = functional.normalize(near_first, dim=1) @ known.T
    weight = ((cosines[0, 1] - cosines[0, 0]) / 0.07).exp().item()
    assert two[0].tolist() == pytest.approx([1 / (1 + weight), weight / (1 + weight)])


@pytest.mark.parametrize("head", heads_for(ordered=True, is_set=False), ids=lambda head: head.name)
def test_each_head_learns_classes_apart(head):
    features, targets = data(num=80)
    probabilities = head.fit(Known.of(features[:60], targets[:60]), features[60:], head.options)
    assert probabilities.shape == (len(head.options), 20, 4)
    torch.testing.assert_close(probabilities.sum(2), torch.ones_like(probabilities[:, :, 0]))
    assert (probabilities[-1].argmax(1) == targets[60:].argmax(1)).double().mean() > 0.8


@pytest.mark.parametrize("head", heads_for(ordered=False, is_set=True), ids=lambda head: head.name)
def test_each_head_of_label_sets_learns_them(head):
    features, targets = data(num=80)
    sets = torch.stack([targets[:, 0] + targets[:, 1], targets[:, 1] + targets[:, 2]], 1)
    probabilities = head.fit(Known.of(features[:60], sets[:60]), features[60:], head.options)
    assert ((probabilities[-1] > 0.5) == (sets[60:] > 0.5)).double().mean() > 0.8


def test_a_class_without_samples_is_never_the_nearest_mean():
    features, targets = data()
    with_empty = functional.pad(targets, (1, 0))
    probabilities = class_means(Known.of(features, with_empty), features, [0.1])[0]
    assert probabilities[:, 0].tolist() == [0.0] * 40
    assert probabilities.isfinite().all()


def test_heads_of_ordered_classes_are_more():
    unordered = {head.name for head in heads_for(ordered=False, is_set=False)}
    assert {head.name for head in heads_for(ordered=True, is_set=False)} - unordered == {"SORD", "ridge-ordinal"}
