"""Calibration of class logits, against scipy and scikit-learn, and by what it does to new samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from obverse.decisions import Evidence, LabelSet, OneClass, blocks, calibrate, calibrated, class_logits, uncalibrated
from obverse.decisions.calibration import fit_form, losses_of
from obverse.metrics import Units
from obverse.recipe import CalibrationSpec, OutputSpec


def drawn(num, num_classes, *, factor=1.0, shift=0.0, seed=0):
    """Logits that are `factor` times too large and shifted, and labels of the true probabilities."""
    generator = np.random.default_rng(seed)
    true_NK = generator.normal(0, 1.5, (num, num_classes))
    labels_N = (softmax(true_NK, axis=1).cumsum(1)[:, :-1] < generator.random((num, 1))).sum(1)
    return (true_NK - shift * np.linspace(-1, 1, num_classes)) * factor, labels_N


def drawn_sets(num, num_classes, *, factor=2.0, shift=1.0, seed=0):
    generator = np.random.default_rng(seed)
    true_NK = generator.normal(-1, 1.5, (num, num_classes))
    return factor * true_NK + shift, generator.random((num, num_classes)) < 1 / (1 + np.exp(-true_NK))


def evidence(logits_NK, truth, kind=None, **fields):
    kind = kind or (LabelSet() if truth.ndim == 2 else OneClass())
    made = Evidence(logits_NK.astype(np.float32), truth, kind, Units.alone(len(truth)), np.ones(len(truth)))
    return replace(made, **fields)


@pytest.mark.parametrize(("num_classes", "factor"), [(2, 3.0), (5, 0.4), (27, 2.0)])
def test_temperature_is_the_minimum_that_scipy_finds(num_classes, factor):
    logits_NK, labels_N = drawn(300, num_classes, factor=factor)

    def loss(log_scale):
        return -log_softmax(np.exp(log_scale) * logits_NK, axis=1)[np.arange(300), labels_N].mean()

    found = fit_form("temperature", logits_NK, labels_N, strength=0)
    best = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9})
    assert found.scale == pytest.approx([np.exp(best.x)], rel=1e-4)
    assert losses_of(logits_NK, labels_N, found).mean() == pytest.approx(best.fun, abs=1e-7)


def test_platt_of_two_classes_is_logistic_regression_on_the_margin():
    logits_NK, labels_N = drawn(400, 2, factor=2.5, shift=0.7)
    found = fit_form("platt", logits_NK, labels_N, strength=0)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logits_NK[:, 1:] - logits_NK[:, :1], labels_N)
    assert found.scale == pytest.approx(oracle.coef_[0], rel=1e-3)
    assert found.shift[1] - found.shift[0] == pytest.approx(oracle.intercept_[0], rel=1e-3)


def test_platt_of_label_sets_is_a_logistic_regression_per_class():
    logits_NK, truth_NK = drawn_sets(500, 4)
    found = fit_form("platt", logits_NK, truth_NK, strength=0)
    for k in range(4):
        oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logits_NK[:, k : k + 1], truth_NK[:, k])
        assert (found.scale[k], found.shift[k]) == pytest.approx((oracle.coef_[0, 0], oracle.intercept_[0]), rel=1e-3)


def test_vector_scaling_has_the_least_penalised_loss():
    logits_NK, labels_N = drawn(300, 4, factor=2.0, shift=0.6)

    def loss(values):
        common, own, shift = values[0], values[1:5], values[5:]
        losses_N = -log_softmax(np.exp(common + own) * logits_NK + shift, axis=1)[np.arange(300), labels_N]
        return losses_N.sum() + (common**2 + ((own**2).sum() + (shift**2).sum()) / 0.5**2) / 2

    best = minimize(loss, np.zeros(9), tol=1e-10).x
    found = fit_form("vector", logits_NK, labels_N)
    assert found.scale == pytest.approx(np.exp(best[0] + best[1:5]), rel=1e-3)
    assert found.shift == pytest.approx(best[5:], abs=1e-3)


@pytest.mark.parametrize("form", ["temperature", "vector"])
def test_a_fit_by_blocks_of_rows_is_that_of_all_rows(form, monkeypatch):
    logits_NK, labels_N = drawn(200, 4, factor=2.0, shift=0.6)
    whole = fit_form(form, logits_NK, labels_N)
    monkeypatch.setattr(blocks, "MOST_VALUES", 28)
    assert len(list(blocks.row_blocks(200, 4))) == 29
    found = fit_form(form, logits_NK, labels_N)
    assert (*found.scale, *found.shift) == pytest.approx((*whole.scale, *whole.shift), rel=1e-5)


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_new_samples_cost_no_more_than_before_and_about_what_they_must(factor, num_classes):
    found = calibrate(evidence(*drawn(600, num_classes, factor=factor)))
    logits_NK, labels_N = drawn(5000, num_classes, factor=factor, seed=1)
    after, before = losses_of(logits_NK, labels_N, found).mean(), losses_of(logits_NK, labels_N, None).mean()
    least = losses_of(logits_NK / factor, labels_N, None).mean()
    assert after < least + 0.01
    assert after < before + 0.005


def test_richer_forms_are_taken_where_they_are_better_and_only_there():
    assert calibrate(evidence(*drawn(500, 2, factor=2.0, shift=1.0))).kind == "platt"
    assert calibrate(evidence(*drawn(500, 5, factor=2.0, shift=1.0))).kind == "vector"
    assert calibrate(evidence(*drawn_sets(300, 3))).kind == "platt"
    few = evidence(*drawn(99, 5, factor=2.0, shift=1.0))
    assert calibrate(few).kind == "temperature"
    on_purpose = evidence(*drawn(500, 5, factor=2.0, shift=1.0), keeps_frequencies=False)
    assert calibrate(on_purpose).kind == "temperature"
    plain = [calibrate(evidence(*drawn(200, 5, factor=2.0, seed=seed))).kind for seed in range(10)]
    assert plain.count("temperature") >= 8


def test_val_that_is_all_right_does_not_make_every_answer_certain():
    labels_N = np.arange(90) % 9
    logits_NK = np.eye(9)[labels_N] * 2 + np.random.default_rng(0).normal(0, 0.2, (90, 9))
    found = calibrate(evidence(logits_NK, labels_N))
    sure_N = softmax(found.scale[0] * logits_NK, axis=1).max(1)
    assert softmax(logits_NK, axis=1).max(1).mean() < 0.6
    assert 0.95 < sure_N.mean() < 0.999


def test_too_few_independent_samples_give_none():
    made = evidence(*drawn(60, 3))
    assert calibrate(evidence(*drawn(7, 3))) is None
    assert calibrate(replace(made, units=Units(np.arange(60) // 9))) is None
    assert calibrate(made) is not None


def test_groups_stay_in_one_fold_and_classes_are_spread():
    made = replace(evidence(*drawn(200, 2)), units=Units(np.arange(200) // 4))
    for group in range(50):
        assert len(set(made.fold_N[4 * group : 4 * group + 4])) == 1
    assert np.bincount(evidence(*drawn(200, 2)).fold_N).tolist() == [40] * 5


def test_a_weight_counts_like_copies():
    logits_NK, labels_N = drawn(80, 3, factor=2.0)
    weights_N = np.where(labels_N == 0, 3.0, 1.0)
    rows_M = np.repeat(np.arange(80), weights_N.astype(int))
    weighted = fit_form("temperature", logits_NK, labels_N, weights_N=weights_N, strength=0)
    assert weighted.scale == pytest.approx(
        fit_form("temperature", logits_NK[rows_M], labels_N[rows_M], strength=0).scale
    )


def test_temperature_keeps_the_mode_and_a_median_that_gets_worse_is_refused():
    logits_NK, labels_N = drawn(400, 6, factor=3.0)
    found = fit_form("temperature", logits_NK, labels_N)
    mapped_NK = calibrated(torch.tensor(logits_NK), found).numpy()
    assert (mapped_NK.argmax(1) == logits_NK.argmax(1)).all()
    # The first class is right in 7 of 20 rows and the second in the others. Temperature can only flatten all that is
    # left, so that the median moves to the third, which is never right.
    rows_NK = np.tile([[4.0, *[0.0] * 8]], (100, 1))
    truth_N = (np.arange(100) % 20 >= 7).astype(np.int64)
    flat = calibrate(evidence(rows_NK, truth_N))
    assert flat.kind == "temperature"
    median = OneClass("median", ordered=True)
    assert median.decide(calibrated(torch.tensor(rows_NK), flat).softmax(1)).unique().tolist() == [2]
    assert calibrate(evidence(rows_NK, truth_N, median)) is None


@pytest.mark.parametrize("form", ["temperature", "platt", "vector"])
def test_the_inverse_gives_the_logits_back(form):
    logits_NK, labels_N = drawn(100, 2, factor=2.0, shift=0.5)
    found = fit_form(form, logits_NK, labels_N)
    mapped = calibrated(torch.tensor(logits_NK, dtype=torch.float32), found)
    np.testing.assert_allclose(uncalibrated(mapped.numpy(), found), logits_NK, atol=1e-5)


def test_it_comes_after_the_prior_and_goes_with_it():
    spec = CalibrationSpec(kind="vector", scale=(2.0, 3.0), shift=(0.0, 1.0))
    output = OutputSpec(prior=(0.25, 0.75), calibration=spec)
    logits = class_logits(torch.tensor([[1.0, -1.0]]), output)
    torch.testing.assert_close(logits, torch.tensor([[2 * (1 + np.log(0.25)), 3 * (-1 + np.log(0.75)) + 1]]).float())
    assert output.changed({"prior": (0.5, 0.5)}).calibration is None
    assert output.changed({"thresholds": None}).calibration == spec


def test_temperature_makes_the_median_of_spread_targets_right_also_on_a_small_val():
    """Grades seen with noise; probabilities as the loss with spread targets makes them."""
    generator, grades_K, kind = np.random.default_rng(0), np.arange(5), OneClass("median", ordered=True)

    def seen(num):
        labels_N = generator.integers(0, 5, num)
        posterior_NK = softmax(-(((labels_N + generator.normal(0, 0.6, num))[:, None] - grades_K) ** 2) / 0.72, axis=1)
        return np.log(posterior_NK @ softmax(-np.abs(grades_K[:, None] - grades_K), axis=1)), labels_N

    def steps(spec):
        answers_N = kind.decide(calibrated(torch.tensor(new_NK), spec).softmax(1)).numpy()
        return np.abs(answers_N - new_N).mean()

    new_NK, new_N = seen(4000)
    found = [calibrate(evidence(*seen(num), kind)) for num in (8, 11, 18, 25) for _ in range(5)]
    assert sum(spec is not None for spec in found) >= 19
    assert np.mean([steps(spec) for spec in found]) < steps(None) - 0.01
