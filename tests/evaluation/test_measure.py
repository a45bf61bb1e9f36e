"""Numbers of a split, by hand and against scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as oracle

from obverse.decisions import OneClass
from obverse.errors import DataError
from obverse.evaluation import measure
from obverse.evaluation.one_class.measure import find_disagreements, steps_apart
from obverse.evaluation.predictions import Predictions


def from_classes(labels, given, *, num_classes, **views):
    """Predictions that are sure of the given classes; None is a view that is missing."""
    rows = np.vstack([np.eye(num_classes), np.full(num_classes, np.nan)]).astype(np.float32)

    def one_hot(classes):
        return rows[[num_classes if index is None else index for index in classes]]

    return Predictions(
        split="test",
        classes=tuple("abcdefgh"[:num_classes]),
        ids=tuple(str(number) for number in range(len(labels))),
        truth=np.array(labels, dtype=np.int64),
        probabilities_NK=one_hot(given),
        view_probabilities={view: one_hot(classes) for view, classes in views.items()},
    )


def test_numbers_agree_with_scikit_learn(make):
    predictions = make("abcdefg", num_samples=300)
    measured = measure(predictions)
    labels, given = predictions.truth, predictions.answers
    assert measured.accuracy.value == pytest.approx(oracle.accuracy_score(labels, given))
    assert measured["macro_f1"].value == pytest.approx(oracle.f1_score(labels, given, average="macro"))
    probabilities = predictions.probabilities_NK.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert measured["loss"].value == pytest.approx(oracle.log_loss(labels, probabilities), rel=1e-5)
    assert measured["top_3_accuracy"].value == pytest.approx(oracle.top_k_accuracy_score(labels, probabilities, k=3))
    assert set(measured.as_json()["top_k"]) == {"3", "5"}
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1", "loss"):
        estimate = measured[name]
        assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize(("num_classes", "expected"), [(2, []), (3, []), (4, ["3"]), (5, ["3"]), (6, ["3", "5"])])
def test_top_k_only_where_there_are_more_classes(make, num_classes, expected):
    assert list(measure(make("abcdef"[:num_classes])).as_json()["top_k"]) == expected


def test_unlabelled_samples_are_left_out_and_counted(make):
    predictions = make()
    labels = predictions.truth.copy()
    labels[:20] = -1
    masked = measure(replace(predictions, truth=labels))
    alone = measure(predictions.take(np.arange(20, 60)))
    assert (masked.num_samples, masked.num_unlabelled) == (40, 20)
    assert replace(masked, num_unlabelled=0) == alone


def test_a_class_without_samples_is_counted_and_not_averaged():
    measured = measure(from_classes([0, 0, 1, 1], [0, 2, 1, 1], num_classes=3))
    assert measured.num_classes_without_samples == 1
    assert measured["balanced_accuracy"].value == 0.75


def test_a_probability_of_zero_costs_much_but_not_infinity():
    measured = measure(from_classes([0, 1], [0, 0], num_classes=2))
    assert 40 < measured["loss"].value < 50


def test_views_alone_and_their_disagreement():
    predictions = from_classes(
        [0, 0, 1, 1, -1],
        [0, 0, 1, 1, 0],
        num_classes=2,
        obverse=[0, 1, 1, None, 0],
        reverse=[0, 0, None, 0, 1],
    )
    views = measure(predictions).views
    assert (views.alone["obverse"].num_samples, views.alone["reverse"].num_samples) == (3, 3)
    assert views.alone["obverse"].accuracy.value == pytest.approx(2 / 3)
    assert views.alone["reverse"].accuracy.value == pytest.approx(2 / 3)
    assert views.num_complete == 3
    assert views.disagreement.value == pytest.approx(2 / 3)
    assert find_disagreements(predictions).tolist() == [False, True, False, False, True]


def test_a_view_that_no_sample_has():
    views = measure(from_classes([0, 1], [0, 1], num_classes=2, obverse=[0, 1], reverse=[None, None])).views
    assert views.alone["reverse"].accuracy is None
    assert (views.num_complete, views.disagreement) == (0, None)


def test_the_views_own_heads_decide_who_disagrees_and_how_far():
    alone = from_classes([0, 1, 2], [0, 1, 2], num_classes=3, left=[0, 1, 2], right=[0, 1, 2])
    own = from_classes([0, 1, 2], [0, 1, 2], num_classes=3, left=[0, 1, 2], right=[2, 1, None])
    predictions = replace(alone, view_grades=own.view_probabilities, kind=OneClass(ordered=True))
    views = measure(predictions).views
    assert find_disagreements(predictions).tolist() == [True, False, False]
    assert steps_apart(predictions).tolist() == [2, 0, 0]
    assert (views.alone["right"].accuracy.value, views.graded["right"].accuracy.value) == (1.0, 0.5)
    assert (views.num_complete, views.disagreement.value, views.steps_apart.value) == (2, 0.5, 1.0)
    assert measure(alone).views.steps_apart is None


def test_a_single_view_cannot_disagree():
    assert measure(from_classes([0, 1], [0, 1], num_classes=2, picture=[0, 1])).views.disagreement is None


def test_ordinal_block_only_when_ordered(make):
    assert measure(make()).as_json()["ordinal"] is None
    ordered = measure(make(ordered=True))
    assert set(ordered.as_json()["ordinal"]) == {"mean_absolute_error", "within_one", "quadratic_kappa"}
    for estimate in (ordered["mean_absolute_error"], ordered["within_one"], ordered["quadratic_kappa"]):
        assert estimate.low < estimate.value < estimate.high


def test_everything_is_json_even_where_numbers_are_undefined():
    one = replace(from_classes([0], [0], num_classes=2, x=[None]), kind=OneClass(ordered=True))
    measured = measure(one)
    assert measured["quadratic_kappa"] is None
    assert measured["loss"].low is None
    balanced = measure(from_classes([0, 1], [0, 0], num_classes=2))
    assert balanced.cv_ratio is None
    for each in (measured, balanced):
        assert json.loads(json.dumps(each.as_json(), allow_nan=False)) == each.as_json()


def test_the_same_seed_gives_the_same_numbers(make):
    assert measure(make()) == measure(make())


def test_nothing_to_measure_is_a_clear_error(make):
    for rows in (np.zeros(60, dtype=bool), np.arange(0)):
        with pytest.raises(DataError, match="'test' has no labelled samples"):
            measure(make().take(rows))
    with pytest.raises(DataError, match="no labelled"):
        measure(replace(make(), truth=np.full(60, -1, dtype=np.int64)))


def test_groups_make_intervals_wider_and_are_counted(make):
    predictions = make(num_samples=240)
    of_N = predictions.truth * 10 + np.arange(240) % 10
    right_N = of_N % 3 > 0
    answers_N = np.where(right_N, predictions.truth, (predictions.truth + 1) % 3)
    sure_NK = (0.1 + 0.7 * np.eye(3)[answers_N]).astype(np.float32)
    plain = replace(predictions, probabilities_NK=sure_NK)
    alone, grouped = measure(plain), measure(replace(plain, groups=tuple(map(str, of_N.tolist()))))
    assert (alone.num_groups, grouped.num_groups) == (None, 30)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
        before, after = alone[name], grouped[name]
        assert after.value == before.value
        assert after.high - after.low > 1.5 * (before.high - before.low)


def test_too_few_samples_for_an_average_are_said_in_words(make):
    measured = measure(make("abcdef", num_samples=12))
    assert (measured["macro_precision"].low, measured["macro_precision"].high) == (None, None)
    assert measured["macro_precision"].reason.startswith("too few samples")
    assert measured.as_json()["macro_precision"]["reason"] == measured["macro_precision"].reason
