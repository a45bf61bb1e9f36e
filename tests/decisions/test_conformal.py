"""Scores, thresholds and promises of prediction sets, by hand and against the laws they follow."""

import numpy as np
import pytest
import torch
from scipy.optimize import isotonic_regression
from scipy.stats import beta

from obverse.decisions import LabelSet, OneClass, blocks, promise, sets_of
from obverse.decisions.conformal import Draws, band, least_units, scores_of, threshold
from obverse.decisions.conformal.quantile import place_of
from obverse.decisions.conformal.scores import class_scores, falling_after, ranked_probability_scores
from obverse.metrics import Units
from obverse.recipe import SetsSpec


def rule(kind, *quantile, level=0.9, num_units=50, **more):
    return SetsSpec(kind=kind, level=level, quantile=quantile or (None,), num_units=num_units, **more)


def names(sets_NK):
    return ["".join("abcdef"[k] for k in np.flatnonzero(row_K)) for row_K in sets_NK]


def test_lac_takes_the_classes_above_a_probability_and_always_the_answer():
    rows_NK = np.array([[0.5, 0.3, 0.2], [0.98, 0.01, 0.01], [0.4, 0.35, 0.25]])
    assert names(sets_of(rows_NK, OneClass(), rule("lac", 0.7))) == ["ab", "a", "ab"]
    assert names(sets_of(rows_NK, OneClass(), rule("lac", 0.0))) == ["a", "a", "a"]
    assert names(sets_of(rows_NK, OneClass(), rule("lac", None))) == ["abc"] * 3
    assert names(sets_of(rows_NK, OneClass(), rule("lac", 0.0, None, 0.76))) == ["ab", "ab", "abc"]


def test_raps_adds_up_from_the_likeliest_and_penalises_later_places():
    rows_NK = np.array([[0.3, 0.5, 0.2]])
    spec = rule("raps", penalty=0.1, rank=1)
    np.testing.assert_allclose(scores_of(rows_NK, OneClass(), spec), [[0.8 + 0.1, 0.0, 1.0 + 0.2]])
    ties_NK = np.array([[0.25, 0.25, 0.25, 0.25]])  # of equal classes the first comes first
    np.testing.assert_allclose(scores_of(ties_NK, OneClass(), spec), [[0.0, 0.6, 0.95, 1.3]])


def test_ranked_probability_scores_are_those_of_the_definition():
    rows_NK = np.random.default_rng(0).dirichlet(np.ones(5), 20)
    up_to_NK = rows_NK.cumsum(1)
    for k in range(5):
        expected_N = ((up_to_NK - (np.arange(5) >= k)) ** 2).sum(1)
        np.testing.assert_allclose(ranked_probability_scores(torch.tensor(rows_NK))[:, k], expected_N, atol=1e-12)


@pytest.mark.parametrize("num_classes", [1, 2, 3, 9, 27])
def test_values_after_a_place_become_their_isotonic_regression(num_classes):
    rng = np.random.default_rng(1)
    rows_NK, place_N = rng.random((50, num_classes)).round(1), rng.integers(-1, num_classes, 50)
    expected_NK = rows_NK.copy()
    for row_K, place in zip(expected_NK, place_N, strict=True):
        if place + 1 < num_classes:
            row_K[place + 1 :] = isotonic_regression(row_K[place + 1 :], increasing=False).x
    for dtype, error in ((torch.float64, 1e-12), (torch.float32, 3e-6)):
        found_NK = falling_after(torch.tensor(rows_NK, dtype=dtype), torch.tensor(place_N)[:, None])
        assert found_NK.dtype == dtype
        np.testing.assert_allclose(found_NK, expected_NK, atol=error)


@pytest.mark.parametrize("kind", ["lac", "raps", "range", "rps", "labels"])
def test_scores_of_single_precision_are_those_of_double(kind):
    rows_NK = np.random.default_rng(8).dirichlet(np.full(27, 0.3), 200).astype(np.float32)
    one = LabelSet() if kind == "labels" else OneClass(ordered=kind in ("range", "rps"))
    spec = rule(kind, **({"penalty": 0.01, "rank": 5} if kind == "raps" else {}))
    single_NK = torch.from_numpy(rows_NK)
    found_NK = class_scores(single_NK, one.decide(single_NK), spec)
    assert found_NK.dtype == torch.float32
    np.testing.assert_allclose(found_NK, scores_of(rows_NK, one, spec), atol=2e-5)


def test_rows_are_scored_in_blocks(monkeypatch):
    rows_NK, one = np.random.default_rng(9).dirichlet(np.ones(6), 50), OneClass(ordered=True)
    whole_NK = scores_of(rows_NK, one, rule("range"))
    monkeypatch.setattr(blocks, "MOST_VALUES", 7 * 36)
    np.testing.assert_array_equal(scores_of(rows_NK, one, rule("range")), whole_NK)
    assert sets_of(rows_NK[:0], one, rule("range", 0.5)).shape == (0, 6)


def test_a_range_has_the_most_probability_for_its_length():
    """Among all ranges of its length that hold the answer, for every limit."""
    rows_NK = np.random.default_rng(2).dirichlet(np.full(6, 0.7), 40)
    for limit in (0.7, 0.8, 0.9, 0.97):
        for decode in ("mode", "median"):
            kind = OneClass(decode, ordered=True)
            answers_N = kind.decide(torch.tensor(rows_NK)).numpy()
            for row_K, within_K, answer in zip(
                rows_NK, sets_of(rows_NK, kind, rule("range", limit)), answers_N, strict=True
            ):
                length = within_K.sum()
                starts = [s for s in range(6 - length + 1) if s <= answer < s + length]
                assert row_K[within_K].sum() == pytest.approx(max(row_K[s : s + length].sum() for s in starts))


@pytest.mark.parametrize("kind", ["range", "rps"])
@pytest.mark.parametrize("decode", ["mode", "median", "mean"])
def test_sets_of_ordered_classes_are_ranges_around_the_answer(kind, decode):
    rows_NK, one = np.random.default_rng(3).dirichlet(np.full(7, 0.5), 200), OneClass(decode, ordered=True)
    answers_N = one.decide(torch.tensor(rows_NK)).numpy()
    before_NK = np.zeros(rows_NK.shape, bool)
    for limit in (0.0, 0.3, 0.8, 1.5, 7.0):
        sets_NK = sets_of(rows_NK, one, rule(kind, limit))
        assert sets_NK[np.arange(200), answers_N].all()
        assert (np.abs(np.diff(sets_NK.astype(int), axis=1)).sum(1) <= 2).all()
        assert all(np.ptp(np.flatnonzero(row_K)) + 1 == row_K.sum() for row_K in sets_NK)
        assert (sets_NK >= before_NK).all(), "a larger limit takes nothing out"
        before_NK = sets_NK


def test_label_sets_hold_the_answer():
    rows_NK, kind = np.array([[0.9, 0.2, 0.6], [0.1, 0.2, 0.3]]), LabelSet((0.5, 0.1, 0.5))
    assert names(sets_of(rows_NK, kind, rule("labels", 0.4))) == ["abc", "b"]


def test_the_threshold_is_the_score_at_its_place():
    draws = Draws.of_true_classes(np.arange(100.0)[:, None] / 100, np.zeros(100, int), Units.alone(100))
    assert threshold(draws, level=0.9) == 0.90  # place 91 of 100
    assert threshold(draws, level=0.5) == 0.50  # place 51
    few = Draws.of_true_classes(np.arange(8.0)[:, None], np.zeros(8, int), Units.alone(8))
    assert threshold(few, level=0.9) is None
    nine = Draws.of_true_classes(np.arange(9.0)[:, None], np.zeros(9, int), Units.alone(9))
    assert threshold(nine, level=0.9) == 8.0
    assert (least_units(0.9), least_units(0.95), least_units(0.9, 0.95)) == (9, 19, 29)


def test_samples_of_a_group_share_the_weight_of_one_draw():
    """Three groups: one of a hundred samples counts as much as one of a single sample."""
    scores_N1 = np.concatenate([np.full(100, 0.1), [0.5, 0.9]])[:, None]
    units = Units.of_groups(["g"] * 100 + ["h", "i"])
    draws = Draws.of_true_classes(scores_N1, np.zeros(102, int), units)
    assert [threshold(draws, level=level) for level in (0.25, 0.5, 0.75)] == [0.1, 0.5, 0.9]
    assert threshold(draws, level=0.8) is None
    assert sorted(draws.one_each()) == [0.1, 0.5, 0.9]


def test_labels_of_a_set_share_the_weight_of_their_sample():
    """(sum of missed shares + 1) / (n + 1) is the promised false-negative rate."""
    scores_NK = np.array([[0.1, 0.6, 0.0], [0.3, 0.0, 0.0], [0.9, 0.9, 0.9]])
    truth_NK = np.array([[True, True, False], [True, False, False], [False, False, False]])
    draws = Draws.of_true_classes(scores_NK, truth_NK, Units.alone(3))
    assert threshold(draws, level=0.75) == 0.6  # nothing missed: (0 + 1) / 4
    assert threshold(draws, level=0.625) == 0.3  # half of one sample missed: (0.5 + 1) / 4
    assert threshold(draws, level=0.8) is None


def test_the_promise_names_the_band_of_this_many_samples():
    low, high = band(rule("range", 0.5, num_units=54))
    assert (low, high) == pytest.approx(beta(50, 5).ppf([0.05, 0.95]))
    assert promise(rule("range", 0.5, num_units=54)) == (
        "90 % of new samples on average; with 54 independent samples of val yours may be 84 to 96 %"
    )
    assert "any class, because 90 % cannot be promised with 8 independent" in promise(rule("lac", num_units=8))
    assert "at least 9 are needed" in promise(rule("lac", num_units=8))
    assert promise(rule("labels", 0.5, num_units=99)).startswith("90 % of the true classes on average")
    assert "of new samples of each class on average" in promise(rule("lac", 0.5, 0.4, num_units=120))


def test_with_a_confidence_the_band_starts_at_the_promise():
    for num in (40, 100, 500):
        place = place_of(num, level=0.9, confidence=0.95)
        assert beta(place, num + 1 - place).cdf(0.9) <= 0.05 < beta(place - 1, num + 2 - place).cdf(0.9)
    assert place_of(28, level=0.9, confidence=0.95) is None
    assert place_of(29, level=0.9, confidence=0.95) == 29


def drawn(rng, num, num_classes):
    """Probabilities and true classes of a model that is sure of some samples and overconfident."""
    place_N1, width_N1 = rng.uniform(-0.5, num_classes - 0.5, (num, 1)), np.exp(rng.normal(0.2, 0.6, (num, 1)))
    logits_NK = -(((np.arange(num_classes) - place_N1) / width_N1) ** 2) / 2 + rng.normal(0, 0.5, (num, num_classes))
    truth_N = (logits_NK + rng.gumbel(size=logits_NK.shape)).argmax(1)
    sharp_NK = np.exp(1.4 * (logits_NK - logits_NK.max(1, keepdims=True)))
    return sharp_NK / sharp_NK.sum(1, keepdims=True), truth_N


def mean_coverage_law(level, num, *, draws, tests):
    """The range of the mean of `draws` beta-binomial shares, each of `tests` samples, in 99.9 % of cases."""
    place = place_of(num, level=level, confidence=None)
    law = beta(place, num + 1 - place)
    error = np.sqrt((law.var() + law.mean() * (1 - law.mean()) / tests) / draws)
    return law.mean() - 3.3 * error, law.mean() + 3.3 * error


@pytest.mark.parametrize("kind", ["lac", "raps", "range", "rps"])
def test_mean_coverage_follows_the_beta_binomial_law(kind):
    rng, coverage, one = np.random.default_rng(4), [], OneClass(ordered=kind in ("range", "rps"))
    spec = rule(kind, **({"penalty": 0.01, "rank": 2} if kind == "raps" else {}))
    for _ in range(200):
        rows_NK, truth_N = drawn(rng, 54 + 200, 8)
        scores_NK = scores_of(rows_NK[:54], one, spec)
        limit = threshold(Draws.of_true_classes(scores_NK, truth_N[:54], Units.alone(54)), level=0.9)
        sets_NK = sets_of(rows_NK[54:], one, spec.changed({"quantile": (limit,)}))
        coverage.append(sets_NK[np.arange(200), truth_N[54:]].mean())
    low, high = mean_coverage_law(0.9, 54, draws=200, tests=200)
    assert low <= np.mean(coverage) <= high
    assert np.mean((np.array(coverage) > 0.82) & (np.array(coverage) < 0.98)) >= 0.85, "and single ones lie around it"


def test_groups_of_alike_samples_keep_the_promise():
    """Scores of a group are alike, and groups of easy samples are larger, so samples alone would promise too much."""
    rng, by_group, by_sample = np.random.default_rng(5), [], []
    for _ in range(400):
        level_G = rng.random(30)
        sizes_G = np.where(level_G < 0.5, 8, 1)
        group_N = np.repeat(np.arange(30), sizes_G)
        scores_N = level_G[group_N] + 0.01 * rng.random(len(group_N))
        new = rng.random(500) + 0.01 * rng.random(500)  # one sample each of new groups
        for coverage, units in ((by_group, Units.of_groups(group_N.tolist())), (by_sample, Units.alone(len(group_N)))):
            draws = Draws.of_true_classes(scores_N[:, None], np.zeros(len(group_N), int), units)
            coverage.append((new <= threshold(draws, level=0.9)).mean())
    error = np.std(by_group) / 20
    assert 0.9 - 3.3 * error <= np.mean(by_group) <= 0.9 + 1 / 31 + 3.3 * error
    assert np.mean(by_sample) < 0.87


def test_the_false_negative_rate_of_label_sets_is_kept():
    rng, found, spec = np.random.default_rng(6), [], rule("labels")
    for _ in range(200):
        logits_NK = rng.normal(-1, 2, (60 + 200, 6))
        truth_NK = rng.random(logits_NK.shape) < 1 / (1 + np.exp(-logits_NK))
        rows_NK = 1 / (1 + np.exp(-0.6 * logits_NK))
        draws = Draws.of_true_classes(1 - rows_NK[:60], truth_NK[:60], Units.alone(60))
        limit = threshold(draws, level=0.9)
        sets_NK = sets_of(rows_NK[60:], LabelSet((1.0,) * 6), spec.changed({"quantile": (limit,)}))
        share_N = (sets_NK & truth_NK[60:]).sum(1) / np.maximum(1, truth_NK[60:].sum(1))
        found.append(np.where(truth_NK[60:].any(1), share_N, 1.0).mean())
    assert 0.9 - 0.005 <= np.mean(found) <= 0.92


@pytest.mark.parametrize("groups", [False, True])
def test_with_a_confidence_so_many_draws_reach_the_level(groups):
    rng, reached = np.random.default_rng(7), []
    for _ in range(400):
        level_G = rng.random(60)
        group_N = np.repeat(np.arange(60), 3 if groups else 1)
        draws = Draws.of_true_classes(
            level_G[group_N][:, None], np.zeros(len(group_N), int), Units.of_groups(group_N.tolist())
        )
        reached.append(threshold(draws, level=0.9, confidence=0.9) >= 0.9)  # the coverage of a uniform score is itself
    place = place_of(60, level=0.9, confidence=0.9)
    expected = beta(place, 61 - place).sf(0.9)
    assert abs(np.mean(reached) - expected) < 3.3 * np.sqrt(expected * (1 - expected) / 400)
    assert expected >= 0.9
