"""Prediction CV beside label CV."""

import math

import numpy as np
import pytest

from obverse import metrics
from obverse.errors import DataError


def test_by_hand():
    assert metrics.coefficient_of_variation(np.array([1, 3])) == 0.5
    assert metrics.coefficient_of_variation(np.array([7, 7, 7])) == 0


def test_a_perfect_model_on_a_long_tail_has_ratio_one_and_a_large_cv():
    confusion = np.diag([1000, 100, 10, 1])
    assert metrics.prediction_cv(confusion) > 1
    assert metrics.cv_ratio(confusion) == 1


def test_a_collapsed_model_has_a_ratio_above_one():
    confusion = np.array([[6, 0], [4, 0]])
    assert metrics.prediction_cv(confusion) == 1
    assert metrics.label_cv(confusion) == pytest.approx(0.2)
    assert metrics.cv_ratio(confusion) == pytest.approx(5)


def test_no_ratio_on_balanced_labels():
    assert math.isnan(metrics.cv_ratio(np.array([[5, 0], [5, 0]])))


def test_nothing_to_measure():
    with pytest.raises(DataError, match="no samples"):
        metrics.prediction_cv(np.zeros((2, 2), dtype=np.int64))
