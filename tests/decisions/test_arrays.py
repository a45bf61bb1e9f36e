"""Which class of a distribution is the answer."""

import numpy as np
import pytest

from obverse.decisions import (
    LabelSet,
    OneClass,
    blocks,
    confidence_of,
    generalised_entropy,
    to_answers,
    to_probabilities,
)
from obverse.evaluation import Predictions, selection_value
from obverse.evaluation.selection import mean_loss

ROWS = np.array([[0.4, 0.3, 0.0, 0.3], [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]], np.float32)


@pytest.mark.parametrize(
    ("decode", "expected"), [("mode", [0, 3, 0, 3]), ("median", [1, 2, 0, 3]), ("mean", [1, 2, 1, 3])]
)
def test_by_hand(decode, expected):
    assert to_answers(ROWS, OneClass(decode)).tolist() == expected


@pytest.mark.parametrize("decode", ["mode", "median", "mean"])
def test_a_view_that_is_missing_is_minus_one(decode):
    rows = ROWS.copy()
    rows[1] = np.nan
    found = to_answers(rows, OneClass(decode))
    assert found[1] == -1
    assert found[[0, 2, 3]].tolist() == to_answers(ROWS, OneClass(decode))[[0, 2, 3]].tolist()


def test_each_answer_is_the_best_for_its_own_error():
    rows = np.random.default_rng(0).dirichlet([0.5] * 6, 300).astype(np.float32)
    distance_KK = np.abs(np.arange(6)[:, None] - np.arange(6))
    losses = {"mode": distance_KK > 0, "median": distance_KK, "mean": distance_KK**2}
    for decode, loss_KK in losses.items():
        expected_NK = rows @ loss_KK
        chosen = expected_NK[np.arange(300), to_answers(rows, OneClass(decode))]
        np.testing.assert_allclose(chosen, expected_NK.min(axis=1), atol=1e-6)


@pytest.mark.parametrize("total", [1.0, 0.9999999, 1.0000001])
def test_the_median_does_not_depend_on_how_well_a_row_sums_to_one(total):
    rows = (np.full((1, 4), 0.25) * total).astype(np.float32)
    assert to_answers(rows, OneClass("median")).tolist() == [1]


def test_the_same_answer_everywhere(tmp_path):
    labels = np.array([1, 2, 0, 3])
    predictions = Predictions(
        split="test",
        classes=("a", "b", "c", "d"),
        ids=("1", "2", "3", "4"),
        truth=labels,
        probabilities_NK=ROWS,
        view_probabilities={"front": ROWS},
        kind=OneClass("median", ordered=True),
    )
    assert predictions.answers.tolist() == predictions.view_answers("front").tolist() == labels.tolist()
    predictions.write(tmp_path)
    assert Predictions.read(tmp_path).answers.tolist() == labels.tolist()
    assert np.load(tmp_path / "predictions.npy").tolist() == labels.tolist()
    with np.errstate(divide="ignore"):
        logits = np.log(ROWS)
    assert selection_value("mae", logits, labels, OneClass("median")) == 0
    assert selection_value("mae", logits, labels, OneClass("mode")) == 0.5


@pytest.mark.parametrize("kind", [OneClass(), OneClass("median"), LabelSet()])
def test_blocks_of_rows_change_nothing(kind, monkeypatch):
    logits_NK = np.random.default_rng(0).normal(0, 2, (11, 4)).astype(np.float32)
    probabilities_NK = to_probabilities(logits_NK, kind)
    answers = to_answers(probabilities_NK, kind)
    whole = confidence_of(probabilities_NK, answers, kind)
    loss, entropy_N = mean_loss(logits_NK, np.arange(11) % 4), generalised_entropy(probabilities_NK)
    monkeypatch.setattr(blocks, "MOST_VALUES", 12)
    assert [(rows.start, rows.stop) for rows in blocks.row_blocks(11, 4)] == [(0, 3), (3, 6), (6, 9), (9, 12)]
    np.testing.assert_array_equal(to_answers(probabilities_NK, kind), answers)
    np.testing.assert_array_equal(confidence_of(probabilities_NK, answers, kind), whole)
    assert mean_loss(logits_NK, np.arange(11) % 4) == loss
    np.testing.assert_array_equal(generalised_entropy(probabilities_NK), entropy_N)


def test_no_rows_have_no_answers():
    none_NK = np.zeros((0, 3), np.float32)
    assert to_answers(none_NK, OneClass()).shape == (0,)
    assert confidence_of(none_NK, np.zeros(0, np.int64), OneClass()).shape == (0,)
