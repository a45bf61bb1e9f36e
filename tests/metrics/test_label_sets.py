"""Scores of label sets against scikit-learn, and thresholds against a search over all of them."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from obverse import metrics
from obverse.errors import DataError


def drawn(num=60, classes=4, *, seed=0, ties=False):
    generator = np.random.default_rng(seed)
    truth = generator.random((num, classes)) < 0.4
    probabilities = np.clip(0.5 * truth + 0.6 * generator.random((num, classes)), 0, 1)
    return truth, np.round(probabilities, 1 if ties else 12)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_that_of_scikit_learn(ties):
    truth, probabilities = drawn(ties=ties)
    expected = [oracle.average_precision_score(truth[:, k], probabilities[:, k]) for k in range(4)]
    np.testing.assert_allclose(metrics.Ranking(truth, probabilities).average_precision(), expected, rtol=1e-12)
    assert metrics.mean_average_precision(truth, probabilities) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("ties", [False, True])
def test_weights_count_samples_as_often_as_they_say(ties):
    truth, probabilities = drawn(ties=ties)
    weights = np.random.default_rng(1).integers(0, 4, len(truth))
    rows = np.repeat(np.arange(len(truth)), weights)
    repeated = metrics.Ranking(truth[rows], probabilities[rows]).average_precision()
    np.testing.assert_allclose(metrics.Ranking(truth, probabilities).average_precision(weights), repeated)
    answers = probabilities >= 0.5
    few, many = metrics.set_scores(truth, answers, weights), metrics.set_scores(truth[rows], answers[rows])
    np.testing.assert_array_equal(few.f1_K, many.f1_K)
    np.testing.assert_array_equal(few.support_K, many.support_K)


def test_precision_recall_and_f1_are_those_of_scikit_learn():
    truth, probabilities = drawn(seed=3)
    answers = probabilities >= 0.5
    scores = metrics.set_scores(truth, answers)
    expected = oracle.precision_recall_fscore_support(truth, answers, zero_division=0)
    for found, wanted in zip(
        (scores.precision_K, scores.recall_K, scores.f1_K, scores.support_K), expected, strict=True
    ):
        np.testing.assert_allclose(found, wanted)
    assert metrics.set_macro_f1(scores) == pytest.approx(oracle.f1_score(truth, answers, average="macro"))
    assert metrics.set_micro_f1(scores) == pytest.approx(oracle.f1_score(truth, answers, average="micro"))


def test_a_class_without_a_sample_is_left_out_of_the_means():
    truth, probabilities = drawn()
    truth[:, 0] = False
    assert np.isnan(metrics.Ranking(truth, probabilities).average_precision()[0])
    others = metrics.mean_average_precision(truth[:, 1:], probabilities[:, 1:])
    assert metrics.mean_average_precision(truth, probabilities) == pytest.approx(others)
    answers = probabilities >= 0.5
    assert metrics.set_macro_f1(metrics.set_scores(truth, answers)) == pytest.approx(
        metrics.set_macro_f1(metrics.set_scores(truth[:, 1:], answers[:, 1:]))
    )


@pytest.mark.parametrize("ties", [False, True])
def test_thresholds_give_the_best_f1_that_any_gives(ties):
    truth, probabilities = drawn(ties=ties, seed=5)
    chosen = np.array(metrics.best_thresholds(truth, probabilities))
    found = metrics.set_scores(truth, probabilities >= chosen).f1_K
    for k in range(truth.shape[1]):
        tried_TN = probabilities[:, k] >= np.linspace(0, 1, 1001)[:, None]
        f1_T = 2 * (tried_TN & truth[:, k]).sum(1) / (tried_TN.sum(1) + truth[:, k].sum())
        assert found[k] >= f1_T.max() - 1e-12
    assert not np.isin(chosen, probabilities).any()  # between samples, so that rounding decides nothing


def test_thresholds_of_classes_that_say_nothing_are_a_half():
    truth = np.array([[True, False], [True, False]])
    assert metrics.best_thresholds(truth, np.array([[0.1, 0.9], [0.2, 0.8]])) == (0.5, 0.5)


def test_a_clean_gap_is_cut_in_the_middle():
    truth = np.array([[True], [True], [False]])
    assert metrics.best_thresholds(truth, np.array([[0.9], [0.8], [0.2]])) == (0.5,)


def test_nothing_to_measure_is_said():
    with pytest.raises(DataError, match="no samples"):
        metrics.set_scores(np.zeros((0, 2), bool), np.zeros((0, 2), bool))


@pytest.mark.parametrize("ties", [False, True])
def test_influences_are_derivatives(ties):
    """By one more sample among a million."""
    truth, probabilities = drawn(ties=ties)
    ranking, answers, much = metrics.Ranking(truth, probabilities), probabilities >= 0.5, np.full(60, 1_000_000)

    def scores(weights):
        found = metrics.set_scores(truth, answers, weights)
        precision = metrics.mean_of_known(ranking.average_precision(weights))
        return np.array([precision, metrics.set_macro_f1(found), metrics.set_micro_f1(found)])

    more = np.array([scores(much + one) - scores(much) for one in np.eye(60, dtype=np.int64)]) * 1e6
    ours = (
        ranking.influence(),
        metrics.set_macro_f1_influence(truth, answers),
        metrics.set_micro_f1_influence(truth, answers),
    )
    np.testing.assert_allclose(np.stack(ours, axis=1), more, atol=1e-6)


def test_intervals_of_label_sets_hold_their_value_and_grow_with_groups():
    truth, probabilities = drawn()
    alone, groups = metrics.Units.alone(60), metrics.Units.of_groups((np.arange(60) // 6).tolist())
    found = metrics.set_intervals(truth, probabilities >= 0.5, probabilities, alone)
    assert found["map"].low < metrics.mean_average_precision(truth, probabilities) < found["map"].high
    repeated = metrics.Units.of_groups((np.arange(120) % 60).tolist())
    twice = metrics.set_intervals(*(np.tile(x, (2, 1)) for x in (truth, probabilities >= 0.5, probabilities)), repeated)
    assert twice["micro_f1"].low == pytest.approx(found["micro_f1"].low, abs=0.01)
    few = metrics.set_intervals(truth, probabilities >= 0.5, probabilities, groups)
    assert few["micro_f1"].high - few["micro_f1"].low >= found["micro_f1"].high - found["micro_f1"].low


def test_label_sets_of_rare_classes_have_no_average_interval():
    truth, probabilities = drawn(num=20)
    truth[:, 1:] = False
    truth[:3, 1:] = True
    found = metrics.set_intervals(truth, probabilities >= 0.5, probabilities, metrics.Units.alone(20))
    assert found["map"].reason == "too few samples: 4 of 4 classes are in fewer than 10"
    assert 0 <= found["micro_f1"].low < found["micro_f1"].high <= 1
