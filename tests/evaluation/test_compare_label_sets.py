"""Paired tests of label sets: the differences of the metrics themselves, and a test that does not find what is not."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as oracle

from obverse import metrics
from obverse.decisions import LabelSet
from obverse.errors import DataError
from obverse.evaluation import Predictions, differences, require_same_samples
from obverse.evaluation.compare import discordant, gain_in, too_few
from obverse.metrics import mcnemar, units_needed

CLASSES = ("a", "b", "c", "d")


def label_sets(strength, *, num=200, seed=0, share=0.3, groups=(), thresholds=None):
    """Predictions of the same samples for one `num`, `share` and `groups`; models differ by strength and seed."""
    truth_NK = np.random.default_rng(99).random((num, len(CLASSES))) < share
    common_NK = np.random.default_rng(98).normal(size=truth_NK.shape)
    own_NK = np.random.default_rng(seed).normal(size=truth_NK.shape)
    logits_NK = strength * np.where(truth_NK, 1, -1) + 0.7 * common_NK + 0.7 * own_NK
    return Predictions(
        split="test",
        classes=CLASSES,
        ids=tuple(f"s{n}" for n in range(num)),
        truth=truth_NK,
        probabilities_NK=(1 / (1 + np.exp(-logits_NK))).astype(np.float32),
        kind=LabelSet(thresholds),
        groups=groups,
    )


def scores(run):
    """By scikit-learn."""
    truth_NK, answers_NK, p_NK = run.truth, run.answers, run.probabilities_NK.astype(np.float64)
    return {
        "map": oracle.average_precision_score(truth_NK, p_NK, average="macro"),
        "auroc": oracle.roc_auc_score(truth_NK, p_NK, average="macro"),
        "macro_f1": oracle.f1_score(truth_NK, answers_NK, average="macro"),
        "micro_f1": oracle.f1_score(truth_NK, answers_NK, average="micro"),
        "subset_accuracy": oracle.accuracy_score(truth_NK, answers_NK),
        "hamming_loss": oracle.hamming_loss(truth_NK, answers_NK),
        "loss": np.mean([oracle.log_loss(truth_NK[:, k], p_NK[:, k]) for k in range(len(CLASSES))]),
        "brier": np.mean((p_NK - truth_NK) ** 2),
    }


def test_every_metric_of_label_sets_is_compared_and_differs_by_as_much_as_it_does():
    thresholds = (0.3, 0.4, 0.5, 0.6)
    base, other = label_sets(0.8), label_sets(1.4, seed=1, thresholds=thresholds)
    found = differences([base], [other], num_resamples=300)
    before, after = scores(base), scores(other)
    assert set(found) == {metric.name for metric in metrics.compared(label_sets=True)} == set(before)
    for name, difference in found.items():
        assert difference.value == pytest.approx(after[name] - before[name], abs=1e-6)
        assert difference.low < difference.value < difference.high
        assert difference.favours_other
        assert difference.p_value < 0.01
        assert difference.test == ("exact McNemar" if name == "subset_accuracy" else "paired bootstrap")
    assert found["subset_accuracy"].p_value == mcnemar(*discordant(base, other))


def test_the_interval_is_that_of_a_bootstrap_that_computes_everything_anew():
    base, other = label_sets(0.8), label_sets(1.1, seed=1)
    found = differences([base], [other], num_resamples=600)
    generator, drawn = np.random.default_rng(5), []
    table = metrics.compared(label_sets=True)
    for _ in range(250):
        rows = generator.integers(0, 200, 200)
        sides = [
            replace(run, ids=tuple(map(str, range(200))), truth=run.truth[rows],
                    probabilities_NK=run.probabilities_NK[rows])
            for run in (base, other)
        ]  # fmt: skip
        before, after = (side.outcome for side in sides)
        drawn.append([metric.value(after) - metric.value(before) for metric in table])
    for name, values in zip((metric.name for metric in table), np.transpose(drawn), strict=True):
        low, high = np.percentile(values, [2.5, 97.5])
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.25 * (high - low)), name


@pytest.mark.parametrize("size", [1, 4])
def test_two_equal_models_seldom_differ_surely(size):
    """Of samples, and of groups whose pictures are answered alike."""
    generator, rejected, held = np.random.default_rng(0), [], []
    of_N = np.arange(180 // size).repeat(size)
    for _ in range(40):
        truth_NK = (generator.random((180 // size, 4)) < 0.35)[of_N]
        common_NK = generator.normal(size=(180, 4))
        runs = []
        for _ in range(2):
            of_groups_NK = generator.normal(size=(180 // size, 4))[of_N]
            logits_NK = np.where(truth_NK, 1, -1) + 0.7 * common_NK + of_groups_NK
            probabilities_NK = (1 / (1 + np.exp(-logits_NK))).astype(np.float32)
            groups = tuple(map(str, of_N)) if size > 1 else ()
            run = label_sets(1, num=180, groups=groups)
            runs.append(replace(run, truth=truth_NK, probabilities_NK=probabilities_NK))
        found = differences([runs[0]], [runs[1]], num_resamples=120)
        rejected.append([found[name].p_value < 0.05 for name in found])
        held.append([found[name].low <= 0 <= found[name].high for name in found])
    # Of 40 studies 5 % are 2; more than 7 come by chance once in a thousand times.
    assert np.sum(rejected, axis=0).max() <= 7
    assert np.sum(held, axis=0).min() >= 33


def test_groups_are_exchanged_as_a_whole_and_seeds_are_drawn():
    groups = tuple(str(n // 5) for n in range(200))
    base, other = label_sets(0.8, groups=groups), label_sets(1.6, seed=1, groups=groups)
    found = differences([base], [other], num_resamples=200)
    assert {difference.test for difference in found.values()} == {"paired permutation of groups"}
    assert all(difference.p_value < 0.02 for difference in found.values())
    seeds = differences([base, base], [other, base], num_resamples=100)
    assert seeds["macro_f1"].value == pytest.approx(found["macro_f1"].value / 2)
    assert seeds["map"].test == "paired bootstrap over groups and seeds"
    assert differences([replace(base, groups=("one",) * 200)], [other], num_resamples=20) == {}


def test_rankings_of_classes_with_few_samples_are_not_compared():
    base, other = label_sets(0.8, share=0.02), label_sets(1.4, seed=1, share=0.02)
    assert (base.truth.sum(axis=0) < 10).all()
    assert too_few([base, other]) == {
        "auroc": "too few samples: 4 of 4 classes, or the rest of one, have fewer than 10",
        "map": "too few samples: 4 of 4 classes have fewer than 10",
    }
    assert set(differences([base], [other], num_resamples=20)) == {
        "macro_f1", "micro_f1", "subset_accuracy", "hamming_loss", "loss", "brier"
    }  # fmt: skip
    assert too_few([label_sets(1)]) == {}
    # Groups count once, whichever side knows them.
    grouped = label_sets(1, groups=tuple(str(n // 50) for n in range(200)))
    assert too_few([label_sets(1), grouped])["map"] == "too few groups: 4 of 4 classes have fewer than 10"


def test_row_order_and_class_order_do_not_matter():
    base, other = label_sets(0.8), label_sets(1.2, seed=1, thresholds=(0.2, 0.4, 0.6, 0.8))
    shuffled, turn = other.take(np.random.default_rng(0).permutation(200)), [2, 0, 3, 1]
    turned = replace(
        shuffled,
        classes=tuple(CLASSES[k] for k in turn),
        truth=shuffled.truth[:, turn],
        probabilities_NK=np.ascontiguousarray(shuffled.probabilities_NK[:, turn]),
        kind=LabelSet(tuple((0.2, 0.4, 0.6, 0.8)[k] for k in turn)),
    )
    again = require_same_samples(base, turned, ("base", "other"))
    assert (again.ids, again.classes, again.kind) == (base.ids, base.classes, other.kind)
    np.testing.assert_array_equal(again.answers, other.answers)
    np.testing.assert_array_equal(again.probabilities_NK, other.probabilities_NK)


def test_other_samples_labels_or_kinds_are_refused():
    base, other, names = label_sets(1, num=40), label_sets(1, num=40, seed=1), ("base", "other")
    with pytest.raises(DataError, match=r"measured on different samples.*'s39'"):
        require_same_samples(base, other.take(np.arange(39)), names)
    truth_NK = other.truth.copy()
    truth_NK[7, 2] ^= True
    with pytest.raises(DataError, match="sample 's7' has another label"):
        require_same_samples(base, replace(other, truth=truth_NK), names)
    one_class = Predictions(
        split="test",
        classes=CLASSES,
        ids=base.ids,
        truth=np.zeros(40, np.int64),
        probabilities_NK=base.probabilities_NK,
    )
    for first, second, single, multi in ((base, one_class, "other", "base"), (one_class, base, "base", "other")):
        with pytest.raises(DataError, match=f"{single} gives one class per sample, and {multi} any number"):
            require_same_samples(first, second, names)


def test_samples_needed_are_those_that_find_the_difference_four_times_in_five():
    """By its own formula, on samples as many as it asks for: that a study finds the difference is measured."""
    base, other = label_sets(0.9), label_sets(1.05, seed=1)
    headline = metrics.metric_of("map", label_sets=True)
    gain_N = gain_in(headline, base, other)
    before, after = scores(base), scores(other)
    assert gain_N.mean() == pytest.approx(after["map"] - before["map"], abs=1e-6)
    needed = units_needed(gain_N, base.units)
    generator = np.random.default_rng(0)
    drawn = generator.choice(gain_N, (2000, needed))
    sure = np.abs(drawn.mean(axis=1)) > 1.96 * drawn.std(axis=1) / np.sqrt(needed)
    assert sure.mean() == pytest.approx(0.8, abs=0.04)
