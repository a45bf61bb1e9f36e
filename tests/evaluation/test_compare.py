"""Paired tests: matched by sample, right p-values, and refused where the samples differ."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from obverse.decisions import OneClass
from obverse.errors import DataError
from obverse.evaluation import Predictions, differences, holm, require_same_samples, samples_needed, seed_interval
from obverse.evaluation.compare import discordant, gain_in_accuracy
from obverse.metrics import Units, mcnemar, metric_of, units_needed

CLASSES = ("a", "b", "c")


def predictions(right_N, *, classes=CLASSES, seed=0, ordered=False, sure=0.8):
    """One sample per entry; the answer is the label where it is true, else the next class."""
    labels_N = np.random.default_rng(seed).integers(0, len(classes), len(right_N))
    answers_N = np.where(right_N, labels_N, (labels_N + 1) % len(classes))
    rest = (1 - sure) / (len(classes) - 1)
    probabilities_NK = np.full((len(right_N), len(classes)), rest, np.float32)
    probabilities_NK[np.arange(len(right_N)), answers_N] = sure
    ids = tuple(f"s{n}" for n in range(len(right_N)))
    return Predictions(
        split="test",
        classes=classes,
        ids=ids,
        truth=labels_N.astype(np.int64),
        probabilities_NK=probabilities_NK,
        kind=OneClass(ordered=ordered),
    )


def two(num=400, base=0.6, other=0.8, seed=3):
    draws_N = np.random.default_rng(seed).random(num)
    return predictions(draws_N < base), predictions(draws_N < other)


@pytest.mark.parametrize(("only_base", "only_other"), [(3, 9), (0, 6), (10, 10), (0, 0), (250, 190)])
def test_mcnemar_is_the_exact_binomial_test(only_base, only_other):
    total = only_base + only_other
    wanted = binomtest(only_base, total, 0.5).pvalue if total else 1.0
    assert mcnemar(only_base, only_other) == pytest.approx(wanted, rel=1e-9)


def test_a_real_difference_is_found_and_its_size_is_right():
    base, other = two()
    found = differences([base], [other], num_resamples=400)
    accuracy = found["accuracy"]
    right = [float((p.answers == p.truth).mean()) for p in (base, other)]
    assert accuracy.value == pytest.approx(right[1] - right[0])
    assert accuracy.low < accuracy.value < accuracy.high
    assert accuracy.low > 0
    assert accuracy.test == "exact McNemar"
    assert accuracy.p_value == mcnemar(*discordant(base, other)) < 1e-6
    for name in ("balanced_accuracy", "macro_f1"):
        assert found[name].test == "paired bootstrap"
        assert found[name].p_value < 0.01
        assert found[name].favours_other
    assert found["loss"].value < 0
    assert found["loss"].favours_other


def test_no_difference_is_no_difference():
    base, _ = two()
    found = differences([base], [base], num_resamples=200)
    assert all(d.value == 0 == d.low == d.high and d.p_value == 1 for d in found.values())


def test_pairing_finds_what_separate_intervals_hide():
    """Both are right on the same hard half; one adds twelve samples."""
    right_N = np.arange(200) < 100
    more_N = np.arange(200) < 112
    found = differences([predictions(right_N)], [predictions(more_N)], num_resamples=400)
    assert found["accuracy"].value == pytest.approx(0.06)
    assert found["accuracy"].p_value < 0.001
    assert found["accuracy"].low > 0


def test_ordered_classes_are_compared_by_distance_too():
    base = predictions(np.zeros(60, bool), ordered=True)
    other = predictions(np.ones(60, bool), ordered=True)
    found = differences([base], [other], num_resamples=200)
    assert found["mean_absolute_error"].value < -1
    assert found["mean_absolute_error"].favours_other
    assert "mean_absolute_error" not in differences(*[[p] for p in two(50)], num_resamples=50)


def test_seeds_of_one_side_are_averaged():
    base, other = two()
    found = differences([base, base], [base, other], num_resamples=200)
    single = differences([base], [other], num_resamples=200)
    assert found["accuracy"].value == pytest.approx(single["accuracy"].value / 2)
    assert found["accuracy"].test == "paired bootstrap over samples and seeds"


def test_a_difference_between_seeds_is_not_one_between_sides():
    """One good seed of three against three poor ones: sure for these models, and another draw of seeds may miss it."""
    poor, good = two()
    found = differences([poor] * 3, [good, poor, poor], num_resamples=400)["macro_f1"]
    assert found.low <= 0 < found.value
    assert found.p_value > 0.05
    assert found.test == "paired bootstrap over samples and seeds"
    assert differences([poor] * 3, [good] * 3, num_resamples=400)["macro_f1"].p_value < 0.01


def test_row_order_and_class_order_do_not_matter():
    base, other = two()
    order = np.random.default_rng(0).permutation(len(other.ids))
    shuffled = other.take(order)
    turned = Predictions(
        split="test",
        classes=("c", "a", "b"),
        ids=shuffled.ids,
        truth=(shuffled.truth + 1) % 3,
        probabilities_NK=np.ascontiguousarray(shuffled.probabilities_NK[:, [2, 0, 1]]),
    )
    again = require_same_samples(base, turned, ("base", "other"))
    assert again.ids == base.ids
    np.testing.assert_array_equal(again.truth, other.truth)
    np.testing.assert_array_equal(again.probabilities_NK, other.probabilities_NK)


def test_other_samples_labels_or_classes_are_refused():
    base, other = two(40)
    names = ("base", "other")
    with pytest.raises(DataError, match=r"measured on different samples.*'s39'"):
        require_same_samples(base, other.take(np.arange(39)), names)
    with pytest.raises(DataError, match="another label"):
        require_same_samples(base, predictions(np.ones(40, bool), seed=9), names)
    with pytest.raises(DataError, match=r"known to one of them only \('c', 'd'\)"):
        require_same_samples(base, predictions(np.ones(40, bool), classes=("a", "b", "d")), names)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.7, 0.9]) == [1.0, 1.0]


def test_the_size_that_would_be_needed():
    # Connor 1987, p. 210: 25 % against 15 % discordant, 5 %, power 80 %.
    assert samples_needed(25, 15, 100) == pytest.approx(312, abs=3)
    assert samples_needed(5, 5, 100) is None
    assert samples_needed(30, 10, 100) < samples_needed(25, 15, 100)


def test_interval_over_seeds():
    found = seed_interval([0.5, 0.6, 0.7])
    assert found.value == pytest.approx(0.6)
    assert found.high - found.value == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert seed_interval([0.5]).low is None
    alike = seed_interval([0.3, 0.3])
    assert (alike.value, alike.low, alike.high) == (0.3, None, None)
    assert "how much seeds vary is not known" in alike.reason


def grouped_pair(generator, *, num=40, size=8):
    """Two equally good models whose errors go by group."""
    of_N = np.arange(num).repeat(size)
    sides = [(generator.random(num) < 0.8)[of_N] ^ (generator.random(num * size) < 0.05) for _ in range(2)]
    groups = tuple(map(str, of_N.tolist()))
    return [replace(predictions(right_N), groups=groups) for right_N in sides]


def test_groups_are_compared_as_groups():
    """Taken as samples, two equal models would differ surely in a third of all studies."""
    generator, rejected, plainly, held = np.random.default_rng(0), 0, 0, 0
    for _ in range(40):
        base, other = grouped_pair(generator)
        accuracy = differences([base], [other], num_resamples=100)["accuracy"]
        assert accuracy.test == "paired permutation of groups"
        rejected += accuracy.p_value < 0.05
        held += accuracy.low <= 0 <= accuracy.high
        plainly += mcnemar(*discordant(base, other)) < 0.05
    assert rejected <= 6
    assert held >= 34
    assert plainly >= 8


def test_a_real_difference_between_groups_is_found():
    base, other = two(400, 0.5, 0.9)
    groups = tuple(str(n // 8) for n in range(400))
    found = differences([replace(base, groups=groups)], [replace(other, groups=groups)], num_resamples=400)
    assert all(found[name].p_value < 0.01 for name in ("accuracy", "macro_f1", "loss"))
    assert found["accuracy"].low > 0
    assert found["macro_f1"].test == "paired permutation of groups"
    seeds = [replace(side, groups=groups) for side in (base, base)]
    assert (
        differences(seeds, [other, other], num_resamples=50)["accuracy"].test
        == "paired bootstrap over groups and seeds"
    )


def test_groups_that_one_side_knows_count_and_one_group_tells_nothing():
    base, other = two(60)
    groups = tuple(str(n // 6) for n in range(60))
    for pair in ((base, replace(other, groups=groups)), (replace(base, groups=groups), other)):
        assert differences([pair[0]], [pair[1]], num_resamples=20)["accuracy"].test == "paired permutation of groups"
    assert differences([replace(base, groups=("one",) * 60)], [other], num_resamples=20) == {}
    alone = differences([replace(base, groups=(None,) * 60)], [other], num_resamples=20)
    assert alone["accuracy"] == differences([base], [other], num_resamples=20)["accuracy"]


def test_groups_needed_are_samples_needed_when_each_is_alone():
    base, other = two(400, 0.6, 0.65)
    counts = discordant(base, other)
    assert units_needed(gain_in_accuracy(base, other), Units.alone(400)) == pytest.approx(
        samples_needed(*counts, 400), rel=0.05
    )
    assert units_needed(gain_in_accuracy(base, base), Units.alone(400)) is None


def test_scores_that_need_probabilities_are_compared_by_influence():
    """The difference is that of the values themselves, and a bootstrap that ranks anew each time gives the interval."""
    generator, sides = np.random.default_rng(0), []
    labels_N = generator.integers(0, 3, 200)
    for sure in (0.6, 1.4):
        weights_NK = np.exp(generator.normal(size=(200, 3)) + sure * np.eye(3)[labels_N])
        probabilities_NK = (weights_NK / weights_NK.sum(axis=1, keepdims=True)).astype(np.float32)
        sides.append(replace(predictions(np.ones(200, bool)), truth=labels_N, probabilities_NK=probabilities_NK))
    found = differences([sides[0]], [sides[1]], num_resamples=500)
    answers = [side.outcome for side in sides]
    for name in ("auroc", "map", "brier", "loss", "matthews"):
        metric = metric_of(name)
        values = [metric.value(each) for each in answers]
        assert found[name].value == pytest.approx(values[1] - values[0], abs=1e-12)
        assert found[name].favours_other
        drawn = []
        for _ in range(300):
            rows = generator.integers(0, 200, 200)
            again = [
                replace(each, labels_N=each.labels_N[rows], given_N=each.given_N[rows],
                        probabilities_NK=each.probabilities_NK[rows])
                for each in answers
            ]  # fmt: skip
            drawn.append(metric.value(again[1]) - metric.value(again[0]))
        low, high = np.percentile(drawn, [2.5, 97.5])
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.25 * (high - low))
