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
        tried = [
            oracle.f1_score(truth[:, k], probabilities[:, k] >= cut, zero_division=0) for cut in np.linspace(0, 1, 1001)
        ]
        assert found[k] >= max(tried) - 1e-12
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


def test_the_bootstrap_covers_its_own_value_and_repeats():
    truth, probabilities = drawn()
    ranking = metrics.Ranking(truth, probabilities)
    statistics = {"map": lambda weights: metrics.mean_of_known(ranking.average_precision(weights))}
    first, again = (metrics.bootstrap_sets(statistics, len(truth), num_resamples=200)["map"] for _ in range(2))
    assert first == again
    assert first.low < metrics.mean_average_precision(truth, probabilities) < first.high
