"""Distance between grades, against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from obverse import metrics
from obverse.errors import DataError


@pytest.mark.parametrize("num_classes", [2, 5, 30])
def test_agree_with_scikit_learn_and_direct_distances(num_classes):
    generator = np.random.default_rng(num_classes)
    labels = generator.integers(0, num_classes, 500)
    predictions = np.clip(labels + generator.integers(-2, 3, 500), 0, num_classes - 1)
    confusion = metrics.confusion_matrix(labels, predictions, num_classes=num_classes)
    distances = np.abs(labels - predictions)
    assert metrics.mean_absolute_error(confusion) == pytest.approx(distances.mean())
    assert metrics.within_one(confusion) == pytest.approx((distances <= 1).mean())
    expected = cohen_kappa_score(labels, predictions, weights="quadratic", labels=range(num_classes))
    assert metrics.quadratic_kappa(confusion) == pytest.approx(expected)


def test_by_hand():
    confusion = np.array([[1, 0, 1], [0, 1, 0], [0, 1, 0]])
    assert metrics.mean_absolute_error(confusion) == 0.75
    assert metrics.within_one(confusion) == 0.75
    assert metrics.quadratic_kappa(np.diag([4, 0, 2])) == 1


def test_kappa_of_a_single_class_is_undefined():
    assert math.isnan(metrics.quadratic_kappa(np.array([[5, 0], [0, 0]])))


@pytest.mark.parametrize("statistic", [metrics.mean_absolute_error, metrics.within_one, metrics.quadratic_kappa])
def test_nothing_to_measure(statistic):
    with pytest.raises(DataError, match="no samples"):
        statistic(np.zeros((2, 2), dtype=np.int64))
