"""Influences are derivatives of the scores, and biases are what simulation finds."""

import numpy as np
import pytest

from obverse import metrics
from obverse.metrics import influence

CASES = {
    "balanced_accuracy": (metrics.balanced_accuracy, influence.balanced_accuracy_influence),
    "macro_f1": (metrics.macro_f1, influence.macro_f1_influence),
    "mean_absolute_error": (metrics.mean_absolute_error, influence.mean_absolute_error_influence),
    "quadratic_kappa": (metrics.quadratic_kappa, influence.quadratic_kappa_influence),
}
CONFUSION = np.array([[12, 3, 0, 1], [2, 9, 4, 0], [0, 0, 0, 0], [1, 5, 2, 7]])


def derivative(score):
    """By one more sample of each cell among millions."""
    many, found = CONFUSION * 1_000_000, np.zeros(CONFUSION.shape)
    for cell in np.ndindex(*CONFUSION.shape):
        more = many.copy()
        more[cell] += 1
        found[cell] = (score(more) - score(many)) * 1e6
    return found[CONFUSION.sum(axis=1) > 0]  # a class that no sample has would begin to count


@pytest.mark.parametrize("name", CASES)
def test_influence_is_the_derivative_and_sums_to_nothing(name):
    score, of = CASES[name]
    ours = of(CONFUSION)
    np.testing.assert_allclose(ours[CONFUSION.sum(axis=1) > 0], derivative(score), atol=1e-6)
    assert (ours * CONFUSION).sum() == pytest.approx(0, abs=1e-12)


def test_influence_of_precision_is_the_derivative_with_its_small_sample_factor():
    predicted = CONFUSION.sum(axis=0)
    wanted = derivative(metrics.macro_precision) * np.sqrt(predicted / (predicted - 1))
    np.testing.assert_allclose(
        influence.macro_precision_influence(CONFUSION)[CONFUSION.sum(axis=1) > 0], wanted, atol=1e-6
    )


@pytest.mark.parametrize(
    ("score", "bias"),
    [(metrics.macro_f1, influence.macro_f1_bias), (metrics.macro_precision, influence.macro_precision_bias)],
)
def test_the_bias_of_few_samples_is_what_simulation_finds(score, bias):
    generator, size = np.random.default_rng(0), 12
    shares_KK = np.full((6, 6), 0.1) + 0.4 * np.eye(6)
    drawn = [np.stack([generator.multinomial(size, row) for row in shares_KK]) for _ in range(3000)]
    found = np.mean([score(each) for each in drawn]) - score(np.round(shares_KK * 1e8).astype(np.int64))
    assert np.mean([bias(each) for each in drawn]) == pytest.approx(found, abs=0.0025)
    assert abs(found) > 0.002
