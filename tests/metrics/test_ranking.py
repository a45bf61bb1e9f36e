"""AUROC and average precision of every class against the rest: scikit-learn, influences, intervals by simulation."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import obverse
from obverse import metrics
from obverse.metrics import LabelSets, OneLabel, Units
from obverse.metrics.one_vs_rest import rank_class

AUROC, AVERAGE_PRECISION = metrics.metric_of("auroc"), metrics.metric_of("average_precision")


def drawn(generator, *, num=150, shares=(0.4, 0.3, 0.3), sure=1.0, group=1, ties=False):
    labels_N = generator.choice(len(shares), num // group, p=shares).repeat(group)
    noise_NK = generator.normal(size=(num // group, len(shares))).repeat(group, 0)
    logits_NK = noise_NK + sure * np.eye(len(shares))[labels_N] + 0.5 * np.log(shares)
    probabilities_NK = np.exp(logits_NK)
    probabilities_NK = (probabilities_NK / probabilities_NK.sum(axis=1, keepdims=True)).astype(np.float32)
    if ties:
        probabilities_NK = np.round(probabilities_NK, 1)
    of_N = np.arange(num // group).repeat(group)
    return OneLabel(labels_N, probabilities_NK.argmax(axis=1), probabilities_NK, Units(of_N))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.4, 0.3, 0.2, 0.1)])
def test_agree_with_scikit_learn(shares, ties):
    answers = drawn(np.random.default_rng(0), shares=shares, ties=ties)
    one_hot_NK = np.eye(len(shares), dtype=int)[answers.labels_N]
    for metric, oracle, key in (
        (AUROC, roc_auc_score, "auroc"),
        (AVERAGE_PRECISION, average_precision_score, "average_precision"),
    ):
        each_K = oracle(one_hot_NK, answers.probabilities_NK, average=None)
        np.testing.assert_allclose(metrics.class_scores_of(answers)[key], each_K, rtol=1e-12)
        assert metric.value(answers) == pytest.approx(each_K.mean(), rel=1e-12)
    probabilities_NK = answers.probabilities_NK
    sets = LabelSets(one_hot_NK == 1, probabilities_NK >= 0.5, probabilities_NK, answers.units)
    assert AUROC.value(sets) == pytest.approx(AUROC.value(answers), rel=1e-12)
    assert AVERAGE_PRECISION.value(sets) == pytest.approx(AVERAGE_PRECISION.value(answers), rel=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_influences_are_what_one_more_of_a_sample_changes(ties):
    """Weights are whole numbers to rank_class, so a step is one more copy among many of each sample."""
    generator, many = np.random.default_rng(1), 400
    positive_N, scores_N = generator.random(12) < 0.4, generator.random(12)
    scores_N = np.round(scores_N, 1) if ties else scores_N
    whole = rank_class(positive_N.repeat(many), scores_N.repeat(many))
    for n in range(12):
        more = rank_class(
            np.append(positive_N.repeat(many), positive_N[n]), np.append(scores_N.repeat(many), scores_N[n])
        )
        assert more.auroc - whole.auroc == pytest.approx(whole.auroc_influence_N[n * many], abs=2e-6)
        expected = whole.average_precision_influence_N[n * many]
        assert more.average_precision - whole.average_precision == pytest.approx(expected, abs=2e-6)
    for influence_N in (whole.auroc_influence_N, whole.average_precision_influence_N):
        assert influence_N.sum() == pytest.approx(0, abs=1e-9)


def test_what_is_not_defined():
    probabilities_NK = np.full((30, 3), 1 / 3, np.float32)
    alone = OneLabel(np.zeros(30, np.int64), np.zeros(30, np.int64), probabilities_NK, Units.alone(30))
    assert math.isnan(AUROC.value(alone))
    assert math.isnan(AUROC.interval(alone).low)
    assert AVERAGE_PRECISION.value(alone) == 1
    found = metrics.class_scores_of(alone)
    np.testing.assert_array_equal(found["auroc"], [np.nan] * 3)
    np.testing.assert_array_equal(found["average_precision"], [1, np.nan, np.nan])
    two = OneLabel(np.arange(30) % 2, np.zeros(30, np.int64), probabilities_NK, Units.alone(30))
    assert AUROC.value(two) == 0.5


@pytest.mark.parametrize("metric", [AUROC, AVERAGE_PRECISION], ids=["auroc", "average precision"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"sure": 3.0},
        {"num": 600, "shares": (0.9, 0.1), "sure": 3.0},
        {"num": 320, "shares": (0.4, 0.3, 0.2, 0.1), "sure": 2.5, "group": 4},
        {"num": 40, "shares": (0.4, 0.3, 0.2, 0.1)},
        {"shares": (0.1,) * 10},
    ],
)
def test_the_interval_holds_the_value_of_very_many_samples_or_says_too_few(metric, layout):
    generator = np.random.default_rng(0)
    truth = metric.value(drawn(generator, **layout | {"num": 100_000, "group": 1}))
    found = [metric.interval(drawn(generator, **layout)) for _ in range(200)]
    few = [ends for ends in found if math.isnan(ends.low)]
    assert all(ends.reason.startswith("too few ") for ends in few)
    given = [ends for ends in found if not math.isnan(ends.low)]
    if len(given) > 100:
        held = np.mean([ends.low <= truth <= ends.high for ends in given])
        assert held > 0.92 - 3 * (0.05 * 0.95 / len(given)) ** 0.5


def test_few_groups_are_said():
    ends = AUROC.interval(drawn(np.random.default_rng(0), num=80, group=8))
    assert ends.reason.startswith("too few groups: 3 of 3 classes")


def test_perfect_ranking_is_not_certain():
    labels_N = np.arange(60) % 3
    perfect = OneLabel(labels_N, labels_N, np.eye(3, dtype=np.float32)[labels_N], Units.alone(60))
    for metric in (AUROC, AVERAGE_PRECISION):
        assert metric.value(perfect) == 1
        assert 0.8 < metric.interval(perfect).low < 0.97 < metric.interval(perfect).high == 1


def test_cost_of_many_samples_and_classes():
    generator = np.random.default_rng(0)
    probabilities_NK = generator.dirichlet(np.ones(50), 20_000).astype(np.float32)
    labels_N = generator.integers(0, 50, 20_000)
    answers = OneLabel(labels_N, probabilities_NK.argmax(axis=1), probabilities_NK, Units.alone(20_000))
    start = time.perf_counter()
    assert AUROC.value(answers) == pytest.approx(0.5, abs=0.01)
    assert time.perf_counter() - start < 10


def test_it_is_added_in_one_file():
    files = [path.name for path in Path(obverse.__file__).parent.rglob("*.py") if 'name="auroc"' in path.read_text()]
    assert files == ["ranking.py"]
