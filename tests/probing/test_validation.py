"""Nested cross-validation: no sample influences its own probabilities, and the pairs give what the plain loops give."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from obverse.decisions import OneClass
from obverse.manifest import Manifest, Sample, Samples
from obverse.metrics import metric_of
from obverse.probing.heads import Head, Known, heads_for
from obverse.probing.measure import Task
from obverse.probing.validation import Folds, best_options, out_of_fold, proper_score

LOGISTIC = next(head for head in heads_for(ordered=False, is_set=False) if head.name == "logistic")


def data(num=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (num,), generator=generator)
    features = torch.randn(3, 5, generator=generator)[labels] + torch.randn(num, 5, generator=generator)
    return features, functional.one_hot(labels, 3), torch.arange(num) % 4


def probabilities(features, targets, folds):
    return out_of_fold(LOGISTIC, Folds(features, targets, folds), ordered=False, is_set=False)


def test_labels_of_a_fold_do_not_change_its_probabilities():
    features, targets, folds = data()
    other = targets.clone()
    other[folds == 2] = other[folds == 2].roll(1, dims=1)
    before, after = probabilities(features, targets, folds), probabilities(features, other, folds)
    torch.testing.assert_close(before[folds == 2], after[folds == 2], rtol=0, atol=0)
    assert not torch.equal(before[folds == 1], after[folds == 1])


def test_options_are_those_of_two_nested_loops():
    features, targets, folds = data(seed=1)
    chosen = best_options(LOGISTIC, Folds(features, targets, folds), ordered=False, is_set=False)
    for outer in range(4):
        costs = torch.zeros(len(LOGISTIC.options), dtype=torch.float64)
        for inner in set(range(4)) - {outer}:
            known = (folds != outer) & (folds != inner)
            rows = folds == inner
            guesses = LOGISTIC.fit(
                Known.of(features[known].double(), targets[known].double()), features[rows].double(), LOGISTIC.options
            )
            costs += proper_score(guesses, targets[rows].double(), ordered=False, is_set=False).sum(1)
        assert chosen[outer] == LOGISTIC.options[int(costs.argmin())]


def test_ties_go_to_the_most_cautious_option():
    same = Head("same", lambda known, features, options: torch.full((len(options), len(features), 3), 1 / 3), (3, 1))
    features, targets, folds = data()
    assert best_options(same, Folds(features, targets, folds), ordered=False, is_set=False) == [3] * 4


def test_ranked_probability_score_by_hand():
    guesses = torch.tensor([[[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]])
    truth = torch.tensor([[1.0, 0, 0, 0], [1.0, 0, 0, 0]])
    assert proper_score(guesses, truth, ordered=True, is_set=False).tolist() == [[1.0, 3.0]]


def test_cross_entropy_stays_finite_for_a_probability_of_zero():
    guesses = torch.tensor([[[0.0, 1.0]]])
    cost = proper_score(guesses, torch.tensor([[1.0, 0.0]]), ordered=False, is_set=False)
    assert cost.item() == pytest.approx(-torch.log(torch.tensor(0.005)).item())


def test_ordered_answers_are_read_after_a_calibration_that_others_fitted():
    """Probabilities that are spread too far, as by SORD, have their median in the middle of the scale."""
    num, steps = 200, torch.arange(5, dtype=torch.float64)
    labels = torch.arange(num) % 5
    samples = Samples.of([Sample(f"{n}", f"g{k}", {"image": f"{n}"}, split="train") for n, k in enumerate(labels)])
    classes = tuple(f"g{k}" for k in range(5))
    manifest = Manifest(Path(), samples, classes, ("image",), ordered=True)
    mae = metric_of("mean_absolute_error", label_sets=False)
    task = Task(manifest, samples, OneClass("median", ordered=True), mae, labels[None])
    noise = torch.randn(num, generator=torch.Generator().manual_seed(0)).double() / 3
    spread = (-0.2 * (steps - (labels + noise)[:, None]).square()).softmax(1)
    raw, read = mae.value(task.predictions(spread).outcome), mae.value(task.answers(spread).outcome)
    assert raw > 0.3 > 0.15 > read
