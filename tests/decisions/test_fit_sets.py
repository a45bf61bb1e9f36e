"""Which rule of sets is fitted, and that the whole of calibration and rule keeps its promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from obverse.decisions import Evidence, LabelSet, OneClass, calibrate, calibrated, fit_sets, sets_of, to_probabilities
from obverse.decisions.calibration import fit_form
from obverse.decisions.conformal import fit
from obverse.metrics import Units
from obverse.recipe import CalibrationSpec


def evidence(num, num_classes, *, kind=OneClass(), seed=0, scale=2.0, groups=None):  # noqa: B008
    """Samples of a model whose logits are `scale` times too large."""
    rng = np.random.default_rng(seed)
    true_NK = rng.normal(0, 1.5, (num, num_classes))
    truth = (true_NK + rng.gumbel(size=true_NK.shape)).argmax(1)
    units = Units.alone(num) if groups is None else Units.of_groups(groups)
    return Evidence((scale * true_NK).astype(np.float32), truth, kind, units, np.ones(num))


def test_a_threshold_of_each_class_needs_enough_samples_of_each():
    few = fit_sets(evidence(250, 3), None, level=0.9)
    assert (few.kind, len(few.quantile), few.num_units) == ("lac", 1, 250)
    many = evidence(600, 3)
    rule = fit_sets(many, None, level=0.9)
    least = int(np.bincount(many.truth).min())
    assert (len(rule.quantile), rule.num_units) == (3, least)
    assert least >= fit.PER_CLASS
    sets_NK = sets_of(to_probabilities(many.logits_NK, many.kind), many.kind, rule)
    for k in range(3):
        assert sets_NK[many.truth == k, k].mean() >= 0.9
    alike = evidence(600, 3, groups=(np.arange(600) // 10).tolist())
    assert len(fit_sets(alike, None, level=0.9).quantile) == 1, "a group is one sample"


def test_too_few_samples_give_every_class():
    rule = fit_sets(evidence(8, 3), None, level=0.9)
    assert rule.is_unlimited
    assert sets_of(np.array([[0.98, 0.01, 0.01]]), OneClass(), rule).all()
    assert not fit_sets(evidence(9, 3), None, level=0.9).is_unlimited
    assert fit_sets(evidence(28, 3), None, level=0.9, confidence=0.95).is_unlimited
    assert fit_sets(evidence(29, 3), None, level=0.9, confidence=0.95).confidence == 0.95


@pytest.mark.parametrize(("kind", "rules"), [(OneClass(ordered=True), ("range", "rps")), (OneClass(), ("raps", "lac"))])
def test_of_two_rules_the_one_with_smaller_sets_on_held_out_samples_ships(kind, rules, monkeypatch):
    found = evidence(120, 60, kind=kind)
    for smaller in rules:
        monkeypatch.setattr(fit, "_held_out_size", lambda _, rows, rule, best=smaller: 2.0 - (rule.kind == best))
        assert fit_sets(found, None, level=0.9).kind == smaller
    monkeypatch.setattr(fit, "_held_out_size", lambda _, rows, rule: 2.0)
    assert fit_sets(found, None, level=0.9).kind == rules[0]


def test_the_held_out_size_is_that_of_the_other_folds_threshold():
    found, rows_NK = evidence(60, 4), to_probabilities(evidence(60, 4).logits_NK, OneClass()).astype(np.float64)
    rule = fit_sets(found, None, level=0.9)
    size, total = fit._held_out_size(found, rows_NK, rule), 0
    for fold in range(5):
        out_N = found.fold_N == fold
        other = fit_sets(found.take(np.flatnonzero(~out_N)), None, level=0.9)
        total += sets_of(rows_NK[out_N], OneClass(), other).sum()
    assert size == pytest.approx(total / 60)


def test_label_sets_and_levels():
    rng = np.random.default_rng(3)
    logits_NK = rng.normal(-1, 2, (80, 4)).astype(np.float32)
    truth_NK = rng.random((80, 4)) < 1 / (1 + np.exp(-logits_NK))
    found = Evidence(logits_NK, truth_NK, LabelSet(), Units.alone(80), np.ones(80))
    loose, strict = (fit_sets(found, None, level=level) for level in (0.7, 0.95))
    assert loose.kind == strict.kind == "labels"
    assert loose.quantile[0] < strict.quantile[0]


def test_calibration_and_rule_from_one_small_val_keep_the_promise():
    """Scores of val are those of samples that the temperature was not fitted on.

    Fits on four fifths are nearer to no calibration than the one that ships, which makes sets a little larger.
    """
    coverage = []
    for seed in range(60):
        whole = evidence(30 + 500, 4, seed=seed, scale=3.0)
        val, new = whole.take(np.arange(30)), whole.take(np.arange(30, 530))
        spec = calibrate(val)
        rule = fit_sets(val, spec, level=0.9)
        rows_NK = to_probabilities(calibrated(torch.from_numpy(new.logits_NK), spec).numpy(), new.kind)
        coverage.append(sets_of(rows_NK, new.kind, rule)[np.arange(500), new.truth].mean())
    error = np.std(coverage) / np.sqrt(60)
    assert 0.9 - 3 * error <= np.mean(coverage) <= 28 / 31 + 0.02 + 3 * error


def test_scores_of_a_large_val_use_the_calibration_that_ships(monkeypatch):
    spec = CalibrationSpec(kind="temperature", scale=(0.5,), num_samples=1)
    monkeypatch.setattr(
        fit, "cross_probabilities", lambda found, spec: np.full_like(found.logits_NK, 1 / found.logits_NK.shape[1])
    )
    small, large = (fit_sets(evidence(num, 3), spec, level=0.9) for num in (199, 200))
    assert small.quantile[0] == pytest.approx(2 / 3, abs=1e-6)
    assert large.quantile[0] != pytest.approx(2 / 3, abs=1e-3)


def test_weights_of_samples_do_not_matter():
    found = evidence(50, 3)
    other = replace(found, weights_N=np.linspace(0.1, 3, 50))
    assert fit_sets(found, None, level=0.9) == fit_sets(other, None, level=0.9)


def test_a_vector_calibration_fitted_on_the_same_200_samples_does_not_make_sets_too_small():
    num, num_classes, coverage = 200, 10, []
    for seed in range(12):
        every = evidence(num + 2000, num_classes, seed=seed)
        val, new = every.take(np.arange(num)), every.take(np.arange(num, num + 2000))
        calibration = fit_form("vector", val.logits_NK, val.truth)
        rule = fit_sets(val, calibration, level=0.9)
        mapped_NK = calibrated(torch.from_numpy(new.logits_NK), calibration).numpy()
        within_NK = sets_of(to_probabilities(mapped_NK, new.kind), new.kind, rule)
        coverage.append(within_NK[np.arange(2000), new.truth].mean())
    # The spread of one draw by the beta-binomial law is 0.022.
    assert np.mean(coverage) > 0.9 - 1.96 * 0.022 / len(coverage) ** 0.5
