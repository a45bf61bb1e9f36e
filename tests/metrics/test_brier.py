"""Brier score against scikit-learn, its interval by simulation, and log loss under that name."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

import obverse
from obverse import metrics
from obverse.metrics import LabelSets, OneLabel, Units

BRIER = metrics.metric_of("brier")


def drawn(generator, *, num=150, shares=(0.5, 0.5), sure=1.0, group=1):
    """Probabilities by Bayes' rule of noise around the label; surer where classes lie further apart."""
    labels_N = generator.choice(len(shares), num // group, p=shares).repeat(group)
    noise_NK = generator.normal(size=(num // group, len(shares))).repeat(group, 0)
    logits_NK = noise_NK + sure * np.eye(len(shares))[labels_N] + 0.5 * np.log(shares)
    probabilities_NK = np.exp(logits_NK)
    probabilities_NK = (probabilities_NK / probabilities_NK.sum(axis=1, keepdims=True)).astype(np.float32)
    of_N = np.arange(num // group).repeat(group)
    return OneLabel(labels_N, probabilities_NK.argmax(axis=1), probabilities_NK, Units(of_N))


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.4, 0.3, 0.2, 0.1)])
def test_agrees_with_scikit_learn(shares):
    answers = drawn(np.random.default_rng(0), shares=shares)
    one_hot_NK = np.eye(len(shares))[answers.labels_N]
    columns = zip(one_hot_NK.T, answers.probabilities_NK.T, strict=True)
    expected = sum(brier_score_loss(truth_N, p_N) for truth_N, p_N in columns)
    assert BRIER.value(answers) == pytest.approx(expected, rel=1e-6)
    probabilities_NK = answers.probabilities_NK.astype(np.float64)
    probabilities_NK /= probabilities_NK.sum(axis=1, keepdims=True)
    expected = log_loss(answers.labels_N, probabilities_NK)
    assert metrics.metric_of("log_loss").value(answers) == pytest.approx(expected, rel=1e-5)


def test_of_label_sets_it_is_the_mean_over_classes():
    generator = np.random.default_rng(0)
    truth_NK, probabilities_NK = generator.random((90, 3)) < 0.4, generator.random((90, 3)).astype(np.float32)
    answers = LabelSets(truth_NK, probabilities_NK >= 0.5, probabilities_NK, Units.alone(90))
    expected = np.mean([brier_score_loss(truth_NK[:, k], probabilities_NK[:, k]) for k in range(3)])
    assert BRIER.value(answers) == pytest.approx(expected, rel=1e-6)
    assert 0 < BRIER.interval(answers).low < expected < BRIER.interval(answers).high < 1


def test_sure_answers_reach_both_ends():
    for given, value in ((0, 0.0), (1, 2.0)):
        probabilities_NK = np.eye(2, dtype=np.float32)[[given] * 30]
        answers = OneLabel(np.zeros(30, np.int64), np.full(30, given), probabilities_NK, Units.alone(30))
        low, high, _ = BRIER.interval(answers)
        assert BRIER.value(answers) == value
        assert 0 <= low <= value <= high <= 2
        assert high - low > 0.1


@pytest.mark.parametrize(
    "layout",
    [{}, {"sure": 3.0}, {"sure": 5.0}, {"shares": (0.9, 0.1), "sure": 3.0}, {"shares": (0.1,) * 10, "sure": 3.0}],
)
def test_the_interval_holds_the_value_of_very_many_samples(layout):
    generator = np.random.default_rng(0)
    truth = BRIER.value(drawn(generator, **layout | {"num": 200_000}))
    ends = [BRIER.interval(drawn(generator, **layout)) for _ in range(300)]
    assert 0.92 - 0.03 < np.mean([low <= truth <= high for low, high, _ in ends]) <= 0.995


def test_one_group_has_no_interval():
    ends = BRIER.interval(drawn(np.random.default_rng(0), num=12, group=12))
    assert np.isnan([ends.low, ends.high]).all()
    assert "one independent sample" in ends.reason


def test_it_is_added_in_one_file():
    files = [path.name for path in Path(obverse.__file__).parent.rglob("*.py") if '"brier"' in path.read_text()]
    assert files == ["probabilities.py"]
