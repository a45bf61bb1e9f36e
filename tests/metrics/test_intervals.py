"""Intervals against scipy, and what they hold by simulation."""

import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest

from obverse import metrics
from obverse.errors import DataError
from obverse.metrics import Units


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (1, 2), (87, 100), (9850, 10000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_agrees_with_scipy(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    ours = metrics.wilson_interval(successes, n, confidence=confidence)
    assert ours[:2] == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(0, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_share(successes, n, confidence):
    with pytest.raises(DataError):
        metrics.wilson_interval(successes, n, confidence=confidence)


def counted(confusion_KK):
    """Labels and predictions with this confusion matrix."""
    return (places.repeat(confusion_KK.ravel()) for places in np.indices(confusion_KK.shape).reshape(2, -1))


def average(name, confusion_KK):
    labels_N, given_N = counted(confusion_KK)
    of = metrics.CLASS_AVERAGES[name]
    units = Units.alone(len(labels_N))
    return metrics.class_average_interval(of, labels_N, given_N, units, num_classes=len(confusion_KK))


def test_balanced_accuracy_of_equal_classes_is_near_wilson():
    """One share for both classes: stratified and plain sampling have the same variance."""
    found = average("balanced_accuracy", np.array([[400, 100], [100, 400]]))
    assert found[:2] == pytest.approx(metrics.wilson_interval(800, 1000)[:2], abs=1e-3)


@pytest.mark.parametrize("sizes", [[20] * 5, [5] * 20, [3] * 100, [2] * 500, [200, 60, 20, 6, 3]])
@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_precision", "macro_f1"])
def test_averages_over_classes_hold_the_value_of_very_many_samples_or_say_too_few(name, sizes):
    """Coverage by simulation; the bounds are 3 standard errors around 92 to 97 %."""
    generator, num = np.random.default_rng(1), len(sizes)
    recall_K = generator.uniform(0.2, 0.8, num)
    shares_KK = np.diag(recall_K) + ((1 - recall_K) / (num - 1))[:, None] * (1 - np.eye(num))
    truth = metrics.CLASS_AVERAGES[name].value(np.round(1e7 * shares_KK * np.array(sizes)[:, None]).astype(np.int64))
    studies = 300 if num < 50 else 60
    found = []
    for _ in range(studies):
        confusion_KK = np.stack([generator.multinomial(n, row) for n, row in zip(sizes, shares_KK, strict=True)])
        found.append((metrics.CLASS_AVERAGES[name].value(confusion_KK), average(name, confusion_KK)))
    few = [ends for _, ends in found if math.isnan(ends.low)]
    assert all(ends.reason.startswith("too few samples") for ends in few)
    if name != "balanced_accuracy" and min(sizes) < 4 and num > 5:
        assert len(few) == studies
    given = [(point, ends) for point, ends in found if not math.isnan(ends.low)]
    assert all(ends.low <= point <= ends.high for point, ends in given)
    if len(given) > studies / 2:
        held = np.mean([ends.low <= truth <= ends.high for _, ends in given])
        error = 3 * (0.05 * 0.95 / len(given)) ** 0.5
        assert 0.92 - error < held < 0.97 + error


def test_everything_right_is_no_proof_of_perfection():
    perfect = np.diag([20, 20, 20])
    for name in ("balanced_accuracy", "macro_precision", "macro_f1"):
        low, high, _ = average(name, perfect)
        assert high == 1
        assert low == pytest.approx(metrics.wilson_interval(60, 60).low, abs=0.01)


def grouped(generator, *, num=40, size=8, alike=0.9, share=0.8):
    """Groups whose samples mostly have the value of their whole group."""
    of_N = np.arange(num).repeat(size)
    copies_N = generator.random(num * size) < alike
    hits_N = np.where(copies_N, (generator.random(num) < share)[of_N], generator.random(num * size) < share)
    return hits_N, Units.of_groups(of_N.tolist())


@pytest.mark.parametrize("layout", [{}, {"alike": 0.4}, {"num": 10}, {"num": 150, "size": 3, "share": 0.95}])
def test_intervals_of_grouped_samples_hold_the_truth(layout):
    generator, held = np.random.default_rng(0), []
    for _ in range(300):
        hits_N, units = grouped(generator, **layout)
        low, high, _ = metrics.share_interval(hits_N, units)
        held.append(low <= layout.get("share", 0.8) <= high)
    assert 0.92 - 0.04 < np.mean(held) < 0.995


def test_samples_taken_as_independent_would_be_too_sure():
    generator = np.random.default_rng(0)
    hits_N, units = grouped(generator)
    low, high, _ = metrics.share_interval(hits_N, units)
    plain = metrics.wilson_interval(int(hits_N.sum()), len(hits_N))
    assert high - low > 2 * (plain.high - plain.low)
    alone = Units.of_groups([None] * len(hits_N))
    assert metrics.share_interval(hits_N, alone) == plain


def test_one_group_has_no_interval_and_says_so():
    hits_N, one = np.array([True, False, True]), Units.of_groups(["a"] * 3)
    for ends in (
        metrics.share_interval(hits_N, one),
        metrics.bounded_mean_interval(hits_N.astype(float), one),
        metrics.positive_mean_interval(hits_N.astype(float), one),
    ):
        assert math.isnan(ends.low)
        assert "one independent sample" in ends.reason


def test_classes_of_one_group_each_have_no_average():
    labels_N = np.arange(4).repeat(8)
    units = Units.of_groups(labels_N.tolist())
    ends = metrics.class_average_interval(
        metrics.CLASS_AVERAGES["balanced_accuracy"], labels_N, labels_N, units, num_classes=4
    )
    assert "too few groups: 4 of 4 classes" in ends.reason


@pytest.mark.parametrize("values", [[0.0] * 59 + [9.0], [1e-6] * 59 + [1.0], [0.5] * 60])
def test_means_stay_in_their_range(values):
    values_N, units = np.array(values), Units.alone(60)
    low, high, _ = metrics.positive_mean_interval(values_N, units)
    assert 0 < low <= values_N.mean() <= high
    low, high, _ = metrics.bounded_mean_interval(values_N / 9, units)
    assert 0 <= low < values_N.mean() / 9 < high <= 1


def test_mean_interval_of_many_is_the_textbook_one():
    values_N = np.random.default_rng(0).exponential(3, 4000)
    low, high, _ = metrics.positive_mean_interval(values_N, Units.alone(4000))
    half = 1.96 * values_N.std(ddof=1) / 4000**0.5
    assert (low, high) == pytest.approx((values_N.mean() - half, values_N.mean() + half), rel=2e-3)


def test_kappa_and_absolute_error_of_perfect_answers():
    labels_N = np.arange(4).repeat(10)
    ends = metrics.ordinal_intervals(labels_N, labels_N, Units.alone(40), num_classes=4)
    assert ends["mean_absolute_error"].low == 0 < ends["mean_absolute_error"].high < 0.5
    assert 0.7 < ends["quadratic_kappa"].low < 1 == ends["quadratic_kappa"].high
    one = metrics.ordinal_intervals(labels_N[:1], labels_N[:1], Units.alone(1), num_classes=4)
    assert math.isnan(one["quadratic_kappa"].low)


def test_cost_of_the_design_size():
    """86,907 test samples of 500 classes take moments."""
    generator = np.random.default_rng(0)
    labels_N = generator.integers(0, 500, 86_907)
    given_N = np.where(generator.random(86_907) < 0.5, labels_N, generator.integers(0, 500, 86_907))
    start = time.perf_counter()
    for of in metrics.CLASS_AVERAGES.values():
        metrics.class_average_interval(of, labels_N, given_N, Units.alone(86_907), num_classes=500)
    assert time.perf_counter() - start < 5
