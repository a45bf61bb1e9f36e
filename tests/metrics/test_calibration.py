"""The calibration error: what it measures, and that chance is not counted."""

import numpy as np
import pytest

from obverse.metrics import OneLabel, Units, metric_of, reliability


def draws(num, gap, seed):
    generator = np.random.default_rng(seed)
    confidence_N = generator.uniform(0.5, 0.95, num)
    return confidence_N, generator.random(num) < confidence_N - gap


@pytest.mark.parametrize("gap", [0.0, 0.1, 0.3])
def test_the_error_is_the_gap_also_with_few_samples(gap):
    errors = [reliability(*draws(150, gap, seed)).error for seed in range(60)]
    assert np.mean(errors) == pytest.approx(gap, abs=0.04)


def test_chance_is_counted_less_than_plainly():
    bins = [reliability(*draws(150, 0.0, seed)) for seed in range(60)]
    plain = np.mean([(np.abs(b.right_B - b.confidence_B) * b.count_B).sum() / b.count_B.sum() for b in bins])
    assert np.mean([b.error for b in bins]) < 0.6 * plain


def test_bins_hold_equal_numbers_and_all_samples():
    bins = reliability(*draws(152, 0.0, 0))
    assert (len(bins.count_B), bins.count_B.sum()) == (15, 152)
    assert bins.count_B.max() - bins.count_B.min() <= 1
    assert (np.diff(bins.confidence_B) > 0).all()
    assert len(reliability(*draws(9, 0.0, 0)).count_B) == 2
    assert bins.mean_confidence == pytest.approx(draws(152, 0.0, 0)[0].mean())
    assert bins.share_right == pytest.approx(draws(152, 0.0, 0)[1].mean())


def test_the_interval_holds_the_gap_in_most_draws():
    metric, inside = metric_of("calibration_error"), 0
    for seed in range(60):
        confidence_N, is_right_N = draws(400, 0.2, seed)
        probabilities_NK = np.stack([confidence_N, 1 - confidence_N], 1)
        made = OneLabel((~is_right_N).astype(np.int64), np.zeros(400, np.int64), probabilities_NK, Units.alone(400))
        interval = metric.interval(made)
        inside += interval.low <= 0.2 <= interval.high
    assert inside >= 54
