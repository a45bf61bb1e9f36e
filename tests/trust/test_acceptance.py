"""The threshold of confidence: its promise on simulated draws, the order of its tests, groups, label sets, `auto`."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from obverse.decisions import Evidence, LabelSet, OneClass, calibrate, confidence_of, decide
from obverse.metrics import Units
from obverse.recipe import AcceptanceSpec, EvaluationSpec, OutlierSpec, OutputSpec
from obverse.trust import accepted_on_val, fit_acceptance, wanted_error
from obverse.trust.acceptance import _steps, least_units

OUTLIERS = OutlierSpec(
    gen_centre=0.0,
    gen_scale=1.0,
    distance_centre=0.0,
    distance_scale=1.0,
    reject_above=3.0,
    share_below=0.99,
    num_samples=200,
)


def drawn(generator, num, *, shape=3.0):
    """Confidences, and whether answers are right: each is right with its confidence."""
    confidence_N = generator.beta(shape, 1, num)
    return confidence_N, generator.random(num) < confidence_N


def true_error(threshold, *, shape=3.0):
    """Share of wrong answers among those of at least this confidence: confidences have the density a c^(a - 1)."""
    left = 1 - threshold**shape
    return 1 - shape / (shape + 1) * (1 - threshold ** (shape + 1)) / left if left > 0 else 0.0


@pytest.mark.parametrize("wanted", [0.01, 0.05, 0.2, 0.5])
def test_the_tests_are_where_one_more_error_becomes_tolerable(wanted):
    """By the definition: of each number of samples, the most errors that an error of `wanted` gives in 5 % of draws."""
    num, steps, most = 400, [], -1
    for rank in range(1, num + 1):
        tolerable = np.flatnonzero(binom.cdf(np.arange(rank + 1), rank, wanted) <= 0.05).max(initial=-1)
        if tolerable > most:
            steps.append(rank)
        most = max(most, tolerable)
    assert steps
    assert _steps(num, wanted) == steps
    assert _steps(steps[0] - 1, wanted) == []


@pytest.mark.parametrize(("num", "wanted"), [(60, 0.2), (200, 0.1), (400, 0.2)])
def test_the_accepted_error_is_as_wanted_in_95_of_100_draws(num, wanted):
    generator, draws = np.random.default_rng(num), 400
    specs = [fit_acceptance(*drawn(generator, num), Units.alone(num), wanted=wanted) for _ in range(draws)]
    thresholds = [spec.threshold for spec in specs if spec.threshold is not None]
    broken = sum(true_error(threshold) > wanted for threshold in thresholds)
    assert len(thresholds) > draws / 10
    assert binomtest(broken, draws, 0.05, alternative="greater").pvalue > 0.01


def test_the_promise_holds_for_new_groups_whose_pictures_are_alike():
    generator, draws, broken, accepted = np.random.default_rng(5), 300, 0, 0
    for _ in range(draws):
        confidence_G, is_right_G = drawn(generator, 80)
        sizes_G = generator.integers(1, 6, 80)
        of_N = np.repeat(np.arange(80), sizes_G)
        spec = fit_acceptance(confidence_G[of_N], is_right_G[of_N], Units(of_N), wanted=0.2)
        assert spec.num_units == 80
        assert spec.are_groups
        accepted += spec.threshold is not None
        broken += spec.threshold is not None and true_error(spec.threshold) > 0.2
    assert accepted > draws / 2
    assert binomtest(broken, draws, 0.05, alternative="greater").pvalue > 0.01


def test_the_bound_is_that_of_clopper_and_pearson():
    """59 right answers promise 5 %, 58 do not."""
    for num, fits in ((58, False), (59, True)):
        bound = binomtest(0, num, alternative="less").proportion_ci(0.95, method="exact").high
        spec = fit_acceptance(np.linspace(1, 0.5, num), np.ones(num, np.bool_), Units.alone(num), wanted=0.05)
        assert (bound <= 0.05) == fits == (spec.threshold is not None)
    assert least_units(0.05) == 59


def test_mistakes_among_the_least_confident_end_the_sequence():
    confidence_N, is_right_N = np.linspace(1, 0.5, 300), np.ones(300, np.bool_)
    is_right_N[200:] = False
    spec = fit_acceptance(confidence_N, is_right_N, Units.alone(300), wanted=0.1)
    error = (~is_right_N[confidence_N >= spec.threshold]).mean()
    assert 0.5 < spec.share < 0.72
    assert (
        binomtest(round(error * spec.share * 300), round(spec.share * 300), alternative="less").proportion_ci(0.95).high
        <= 0.1 + 1e-9
    )


def test_answers_of_equal_confidence_are_accepted_together():
    confidence_N = np.repeat([0.9, 0.5], [100, 100]).astype(np.float64)
    spec = fit_acceptance(confidence_N, confidence_N > 0.6, Units.alone(200), wanted=0.1)
    assert spec.threshold == pytest.approx(0.9)
    assert (confidence_N >= spec.threshold).sum() == 100 == spec.share * 200
    assert fit_acceptance(confidence_N, np.zeros(200, np.bool_), Units.alone(200), wanted=0.1).threshold is None


@pytest.mark.parametrize(
    ("num", "num_wrong", "wanted"),
    [(118, 0, 0.05), (117, 0, 0.1), (57, 0, 0.2), (8, 0, 0.2), (500, 75, 0.1), (500, 150, 0.2)],
)
def test_auto_is_the_least_error_that_fits_val(num, num_wrong, wanted):
    right_N = np.arange(num) >= num_wrong
    assert wanted_error(EvaluationSpec(), right_N, Units.alone(num)) == wanted
    assert wanted_error(EvaluationSpec(accepted_error=0.03), right_N, Units.alone(num)) == 0.03


def decided(confidence, rule, score=None, **more):
    """The decision on one answer."""
    scores_N = None if score is None else np.array([score])
    (decision,) = decide(np.array([confidence]), rule, outlier_scores_N=scores_N, **more)
    return decision


def test_decisions_in_words():
    rule = OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.05, threshold=0.84, num_units=200), outliers=OUTLIERS)
    said = [decided(*case[:1], rule, case[1]) for case in ((0.97, 0.0), (0.61, None), (0.97, 3.1))]
    assert [f"{decision.verdict}: {decision.reason}" for decision in said] == [
        "accept: confidence 97 %, errors among such answers at most 5 %",
        "review: confidence 61 % is below 84 %",
        "reject: unlike the training pictures (farther than 99 % of val)",
    ]
    assert decided(0.8399, rule).reason == "confidence 83.99 % is below 84.00 %"
    few = OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.05, threshold=None, num_units=54))
    assert (
        decided(0.999, few).reason == "confidence 99.9 %; with 54 samples on val no error below 5.4 % can be promised"
    )
    assert decide(np.array([0.9]), OutputSpec()) is None
    # What is no number is never accepted.
    cases = ((np.nan, 0.0), (0.97, np.nan), (0.84, OUTLIERS.reject_above))
    assert [decided(*case[:1], rule, case[1]).verdict for case in cases] == ["review", "reject", "accept"]


def test_a_rule_that_accepts_none_says_what_was_judged():
    """Of 24 answers 22 are right, and one of the mistakes is among the 14 most confident."""
    is_right_N = np.ones(24, np.bool_)
    is_right_N[[3, 20]] = False
    spec = fit_acceptance(np.linspace(1, 0.5, 24), is_right_N, Units.alone(24), wanted=0.2)
    assert spec.threshold is None
    assert decided(0.9, OutputSpec(acceptance=spec)).reason == (
        "confidence 90 %; on val, judged as if they were new, 22 of 24 answers are right, but of the 14 most confident "
        "1 is wrong: too many to promise at most 20 %"
    )


def test_the_confidence_of_a_label_set_is_no_percentage():
    rule = OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.2, threshold=0.3, num_units=24))
    assert decided(0.12, rule, is_set=True).reason == "confidence score 0.12 is below 0.3"
    assert decided(0.4, rule, is_set=True).reason == "confidence score 0.4, errors among such answers at most 20 %"


def test_a_change_of_probabilities_drops_what_was_fitted_on_them():
    rule = OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.05, threshold=0.84, num_units=200), outliers=OUTLIERS)
    assert rule.changed({"per_view": False}).acceptance is None
    assert rule.changed({"calibration": None}).outliers is None
    kept = rule.changed({"calibration": None, "acceptance": rule.acceptance})
    assert (kept.acceptance, kept.outliers) == (rule.acceptance, None)


def test_confidence_of_a_label_set_is_that_all_classes_are_right():
    probabilities_NK = np.array([[0.9, 0.2], [0.4, 0.7]], np.float32)
    answers_NK = probabilities_NK >= 0.5
    found_N = confidence_of(probabilities_NK, answers_NK, LabelSet())
    np.testing.assert_allclose(found_N, [0.9 * 0.8, 0.6 * 0.7], rtol=1e-6)
    median = OneClass("median", ordered=True)
    np.testing.assert_allclose(confidence_of(probabilities_NK, np.array([1, 0]), median), [0.2, 0.4], rtol=1e-6)


@pytest.mark.parametrize("is_set", [False, True])
def test_the_calibration_of_a_sample_is_not_fitted_on_it(is_set):
    """With a form that can learn each label by heart, in-sample answers would be far too sure."""
    generator, num = np.random.default_rng(0), 60
    logits_NK = generator.normal(0, 4, (num, 3)).astype(np.float32)
    truth = generator.random((num, 3)) < 0.5 if is_set else generator.integers(0, 3, num)
    kind = LabelSet() if is_set else OneClass()
    evidence = Evidence(logits_NK, truth, kind, Units.alone(num), np.ones(num))
    spec = accepted_on_val(evidence, calibrate(evidence), EvaluationSpec(accepted_error=0.2))
    assert spec.threshold is None
    assert spec.num_units == num
