"""Intervals against scipy, against the sample-wise bootstrap, and their coverage."""

import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest

from obverse import metrics
from obverse.errors import DataError


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (1, 2), (87, 100), (9850, 10000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_agrees_with_scipy(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    ours = metrics.wilson_interval(successes, n, confidence=confidence)
    assert ours == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_share(successes, n, confidence):
    with pytest.raises(DataError):
        metrics.wilson_interval(successes, n, confidence=confidence)


def sample_wise(statistic, labels, predictions, *, num_classes):
    """The bootstrap as the textbook has it: draw samples, count them."""
    generator = np.random.default_rng(1)
    values = []
    for _ in range(2000):
        rows = generator.integers(0, len(labels), len(labels))
        values.append(statistic(metrics.confusion_matrix(labels[rows], predictions[rows], num_classes=num_classes)))
    return np.percentile(values, [2.5, 97.5])


def test_bootstrap_is_the_sample_wise_one():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 200)
    predictions = np.where(generator.random(200) < 0.7, labels, 0)
    ours = metrics.bootstrap_interval(metrics.macro_f1, labels, predictions, num_classes=4, num_resamples=2000)
    expected = sample_wise(metrics.macro_f1, labels, predictions, num_classes=4)
    np.testing.assert_allclose(ours, expected, atol=0.01)


def test_bootstrap_of_accuracy_is_near_wilson_and_repeats_with_its_seed():
    labels = np.zeros(500, dtype=np.int64)
    predictions = (np.arange(500) < 100).astype(np.int64)
    first, again = (
        metrics.bootstrap_interval(metrics.accuracy, labels, predictions, num_classes=2, seed=3) for _ in range(2)
    )
    assert first == again
    assert first == pytest.approx(metrics.wilson_interval(400, 500), abs=0.01)


def test_resamples_without_a_value_are_left_out():
    labels = np.array([0, 1])
    kappa = metrics.bootstrap_interval(metrics.quadratic_kappa, labels, labels, num_classes=2)
    assert kappa == (1, 1)
    undefined = metrics.bootstrap_interval(metrics.quadratic_kappa, labels[:1], labels[:1], num_classes=2)
    assert all(map(math.isnan, undefined))


def test_bootstrap_of_nothing():
    nothing = np.zeros(0, dtype=np.int64)
    with pytest.raises(DataError, match="no samples"):
        metrics.bootstrap_interval(metrics.accuracy, nothing, nothing, num_classes=2)


def test_mean_interval():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = metrics.mean_interval(values)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.1)
    assert all(map(math.isnan, metrics.mean_interval(values[:1])))
    with pytest.raises(DataError, match="no samples"):
        metrics.mean_interval(values[:0])


def test_cost_of_the_design_size():
    """86,907 test samples of 500 classes: the cost must follow the filled cells, not the samples."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 500, 86_907)
    predictions = np.where(generator.random(86_907) < 0.5, labels, generator.integers(0, 500, 86_907))
    start = time.perf_counter()
    metrics.bootstrap_interval(metrics.macro_f1, labels, predictions, num_classes=500, num_resamples=50)
    assert time.perf_counter() - start < 5
