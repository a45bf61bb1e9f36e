"""Counts against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from obverse import metrics
from obverse.errors import DataError


def draw(num_classes, *, seed, num_samples=400, used=None):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, used or num_classes, num_samples)
    guesses = generator.integers(0, num_classes, num_samples)
    return labels, np.where(generator.random(num_samples) < 0.6, labels, guesses)


@pytest.mark.parametrize(("num_classes", "used"), [(2, 2), (7, 7), (7, 5), (100, 60)])
def test_scores_agree_with_scikit_learn(num_classes, used):
    labels, predictions = draw(num_classes, seed=num_classes + used, used=used)
    confusion = metrics.confusion_matrix(labels, predictions, num_classes=num_classes)
    everything, occurring = range(num_classes), np.unique(labels)
    np.testing.assert_array_equal(confusion, oracle.confusion_matrix(labels, predictions, labels=everything))
    scores = metrics.class_scores(confusion)
    expected = oracle.precision_recall_fscore_support(labels, predictions, labels=everything, zero_division=0)
    for ours, theirs in zip(
        (scores.precision_K, scores.recall_K, scores.f1_K, scores.support_K), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    np.testing.assert_array_equal(scores.predicted_K, np.bincount(predictions, minlength=num_classes))
    options = {"labels": occurring, "average": "macro", "zero_division": 0}
    assert metrics.accuracy(confusion) == pytest.approx(oracle.accuracy_score(labels, predictions))
    assert metrics.balanced_accuracy(confusion) == pytest.approx(oracle.recall_score(labels, predictions, **options))
    assert metrics.macro_precision(confusion) == pytest.approx(oracle.precision_score(labels, predictions, **options))
    assert metrics.macro_f1(confusion) == pytest.approx(oracle.f1_score(labels, predictions, **options))


def test_a_class_without_samples_or_predictions_is_zero_and_outside_the_averages():
    confusion = np.array([[3, 0, 1], [1, 3, 0], [0, 0, 0]])
    scores = metrics.class_scores(confusion)
    assert scores.recall_K.tolist() == [0.75, 0.75, 0]
    assert scores.precision_K.tolist() == [0.75, 1, 0]
    assert metrics.balanced_accuracy(confusion) == 0.75
    assert metrics.macro_precision(confusion) == 0.875
    assert metrics.class_scores(np.diag([1, 0])).precision_K.tolist() == [1, 0]


def test_confusion_matrices_add_up_over_batches():
    labels, predictions = draw(5, seed=0)
    parts = [slice(0, 100), slice(100, 100), slice(100, None)]
    summed = sum(metrics.confusion_matrix(labels[part], predictions[part], num_classes=5) for part in parts)
    np.testing.assert_array_equal(summed, metrics.confusion_matrix(labels, predictions, num_classes=5))


def test_small_integer_types_do_not_overflow():
    labels = np.array([99, 50], dtype=np.int8)
    assert metrics.confusion_matrix(labels, labels, num_classes=100)[99, 99] == 1


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_agrees_with_scikit_learn(k):
    generator = np.random.default_rng(k)
    probabilities, labels = generator.dirichlet(np.ones(6), 300), generator.integers(0, 6, 300)
    expected = oracle.top_k_accuracy_score(labels, probabilities, k=k, labels=range(6))
    assert metrics.top_k_accuracy(probabilities, labels, k=k) == pytest.approx(expected)


def test_top_k_gives_ties_to_the_lower_class_as_argmax_does():
    probabilities = np.full((4, 4), 0.25, dtype=np.float32)
    labels = np.arange(4)
    assert metrics.top_k_hits(probabilities, labels, k=2).tolist() == [True, True, False, False]
    assert metrics.top_k_accuracy(probabilities, labels, k=1) == (probabilities.argmax(axis=1) == labels).mean()


def test_top_k_above_the_number_of_classes_is_all_of_them():
    assert metrics.top_k_accuracy(np.eye(2), np.array([1, 0]), k=5) == 1


def test_nothing_to_measure_is_a_clear_error():
    nothing = np.zeros((3, 3), dtype=np.int64)
    for statistic in (metrics.accuracy, metrics.balanced_accuracy, metrics.macro_f1, metrics.class_scores):
        with pytest.raises(DataError, match="no samples"):
            statistic(nothing)
    with pytest.raises(DataError, match="no samples"):
        metrics.top_k_accuracy(np.zeros((0, 3)), np.zeros(0, dtype=np.int64), k=1)


def test_impossible_input_is_named():
    with pytest.raises(DataError, match="0 to 1, found 0 to 2"):
        metrics.confusion_matrix(np.array([0, 2]), np.array([0, 1]), num_classes=2)
    with pytest.raises(DataError, match="-1"):
        metrics.confusion_matrix(np.array([0, 1]), np.array([0, -1]), num_classes=2)
    with pytest.raises(DataError, match="one length"):
        metrics.confusion_matrix(np.array([0, 1]), np.array([0]), num_classes=2)
    with pytest.raises(DataError, match="k = 0"):
        metrics.top_k_accuracy(np.eye(2), np.array([0, 1]), k=0)
