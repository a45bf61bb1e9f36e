"""A table of many: adjusted for all of them, and still able to find what is there."""

from dataclasses import replace

import numpy as np
import pytest

from obverse.evaluation import Predictions
from obverse.recipe import Criterion
from obverse.studies.compare import Contender, compare, is_sure
from obverse.studies.criteria import check_criteria


def contender(name, right):
    labels_N = np.arange(20) % 2
    answers_N = np.where(np.arange(20) < right, labels_N, 1 - labels_N)
    predictions = Predictions(
        split="test",
        classes=("a", "b"),
        ids=tuple(map(str, range(20))),
        truth=labels_N,
        probabilities_NK=np.eye(2, dtype=np.float32)[answers_N],
    )
    return Contender(name, (predictions,), ({},))


def test_samples_without_a_label_do_not_count_for_the_size_of_the_test_set():
    def said(*, unlabelled):
        pair = []
        for name, right in (("base", 8), ("other", 14)):
            predictions = contender(name, right).runs[0]
            ids = (*predictions.ids, *(f"new {k}" for k in range(unlabelled)))
            labels_N = np.append(predictions.truth, np.full(unlabelled, -1))
            rows_NK = np.concatenate([predictions.probabilities_NK, np.eye(2, dtype=np.float32)[[0] * unlabelled]])
            whole = replace(predictions, ids=ids, truth=labels_N, probabilities_NK=rows_NK)
            pair.append(Contender(name, (whole,), ({},)))
        return compare(pair, num_resamples=10).sentences

    assert said(unlabelled=30) == said(unlabelled=0)
    assert "there are 20" in said(unlabelled=30)[0]


@pytest.mark.parametrize("num", [2, 31])
def test_a_clear_difference_is_sure_among_many(num):
    contenders = [contender("base", 2), *(contender(f"other {n}", 19) for n in range(num - 1))]
    rows = compare(contenders, num_resamples=1000).rows
    assert all(is_sure(row, "macro_f1") for row in rows[1:])


@pytest.mark.parametrize("name", ["matthews", "mcc", "average_precision", "log_loss", "accuracy"])
def test_criteria_know_every_name_of_a_metric(name):
    criterion = Criterion(name="wins", runs="other", metric=name, better_than="base")
    verdict = check_criteria([criterion], [contender("base", 2), contender("other", 19)])[0]
    assert verdict.is_met
    assert verdict.reason.startswith(f"{name} ")
    beaten = Criterion(name="wins", runs="base", metric=name, better_than="other")
    assert not check_criteria([beaten], [contender("base", 2), contender("other", 19)])[0].is_met


def test_what_is_not_measured_for_such_data_is_said():
    for criterion in (
        Criterion(name="sets", runs="base", metric="micro_f1", above=0.1),
        Criterion(name="sets", runs="base", metric="micro_f1", better_than="other"),
    ):
        verdict = check_criteria([criterion], [contender("base", 2), contender("other", 19)])[0]
        assert not verdict.is_met
        assert verdict.reason.startswith("micro_f1 is for multi-label data, and base is of one class per sample")
