"""A table of many: adjusted for all of them, and still able to find what is there."""

import numpy as np
import pytest

from obverse.evaluation import Predictions
from obverse.experiment.compare import Contender, compare, is_sure


def contender(name, right):
    labels_N = np.arange(20) % 2
    answers_N = np.where(np.arange(20) < right, labels_N, 1 - labels_N)
    predictions = Predictions(
        split="test",
        classes=("a", "b"),
        ids=tuple(map(str, range(20))),
        labels_N=labels_N,
        probabilities_NK=np.eye(2, dtype=np.float32)[answers_N],
    )
    return Contender(name, (predictions,), ({},))


@pytest.mark.parametrize("num", [2, 31])
def test_a_clear_difference_is_sure_among_many(num):
    contenders = [contender("base", 2), *(contender(f"other {n}", 19) for n in range(num - 1))]
    rows = compare(contenders, num_resamples=1000).rows
    assert all(is_sure(row, "macro_f1") for row in rows[1:])
