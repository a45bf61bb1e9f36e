"""Coverage and size of prediction sets in an evaluation, on disk and in the report."""

import json
from dataclasses import replace

import numpy as np
import pytest

from obverse.decisions import LabelSet, OneClass, PredictionSets
from obverse.evaluation import Predictions, Topic, write_evaluation
from obverse.evaluation.sets import measure_sets, sets_section
from obverse.metrics import exact_interval, wilson_interval
from obverse.recipe import SetsSpec
from obverse.report import Section, Text

RULE = SetsSpec(kind="lac", level=0.9, quantile=(0.8,), num_units=54)


def predictions(truth_N, within_NK, *, rules=(RULE,), kind=OneClass(), split="test"):  # noqa: B008
    within_NK = np.array(within_NK, bool)
    num, num_classes = within_NK.shape
    rows_NK = np.full((num, num_classes), 1 / num_classes, np.float32)
    return Predictions(
        split=split,
        classes=tuple("abcdef"[:num_classes]),
        ids=tuple(f"s{n}" for n in range(num)),
        truth=np.array(truth_N),
        probabilities_NK=rows_NK,
        kind=kind,
        sets=PredictionSets(within_NK, rules),
    )


def text_of(found):
    return " ".join(block.text for block in sets_section(found, measure_sets(found)).blocks if isinstance(block, Text))


def test_coverage_sizes_and_classes():
    found = predictions([0, 0, 1, 2, -1], [[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]])
    measured = measure_sets(found)
    assert measured.coverage.value == 0.75, "the unlabelled sample counts only for sizes"
    assert (measured.coverage.low, measured.coverage.high) == pytest.approx(wilson_interval(3, 4)[:2])
    assert measured.mean_size.value == pytest.approx(10 / 5)
    assert measured.sizes == {1: 2, 2: 1, 3: 2}
    assert [(c.name, c.num_samples, c.value) for c in measured.classes] == [("a", 2, 0.5), ("b", 1, 1.0), ("c", 1, 1.0)]
    assert measured.classes[0].low == pytest.approx(exact_interval(1, 2, confidence=1 - 0.05 / 3).low)
    assert measured.as_json()["worst"] == "a"
    assert measured.below == ()


def test_label_sets_count_the_share_of_the_labels():
    found = predictions(
        np.array([[1, 1, 0], [0, 0, 0]], bool), [[1, 0, 0], [0, 0, 0]], kind=LabelSet((0.5,) * 3),
        rules=(RULE.changed({"kind": "labels"}),),
    )  # fmt: skip
    measured = measure_sets(found)
    assert measured.coverage.value == 0.75, "half of the first, and the second has nothing to miss"
    assert [(c.name, c.value) for c in measured.classes] == [("a", 1.0), ("b", 0.0)]
    assert "of the true classes are in their set" in text_of(found)


def test_a_class_below_the_promise_is_named_and_so_is_a_split_unlike_val():
    within_NK = np.eye(2, dtype=bool)[[0] * 60 + [0] * 60]
    found = predictions([0] * 60 + [1] * 60, within_NK)
    assert [c.name for c in measure_sets(found).below] == ["b"]
    assert measure_sets(found).is_short
    assert "Below 90 % beyond chance: b." in text_of(found)
    assert "these samples are not like those of val" in text_of(found)
    fine = predictions([0] * 60, np.eye(2, dtype=bool)[[0] * 60])
    assert not measure_sets(fine).is_short
    assert "No class is below 90 % beyond chance" in text_of(fine)


def test_a_class_of_two_samples_is_not_below_beyond_chance():
    truth_N, within_NK = np.repeat(np.arange(500), 2), np.eye(500, dtype=bool).repeat(2, axis=0)
    within_NK[[100, 101, 660, 661]] = np.eye(500, dtype=bool)[0]
    found = replace(
        predictions([0], [[1, 0]]),
        classes=tuple(f"c{k:03}" for k in range(500)),
        ids=tuple(f"s{n}" for n in range(1000)),
        truth=truth_N,
        probabilities_NK=np.full((1000, 500), 1 / 500, np.float32),
        sets=PredictionSets(within_NK, (RULE,)),
    )
    measured = measure_sets(found)
    assert [c.name for c in measured.lowest_first[:2]] == ["c050", "c330"]
    assert measured.lowest_first[0].high == pytest.approx(1 - (0.05 / 500 / 2) ** (1 / 2))
    assert measured.below == ()
    assert "No class is below 90 %" in text_of(found)
    assert "The table has the 5 lowest of 500; metrics.json has all." in text_of(found)


def test_pictures_of_one_group_are_one_piece_of_evidence_of_a_class():
    within_NK = np.eye(2, dtype=bool)[[0] * 120]
    found = predictions([0] * 60 + [1] * 60, within_NK)
    grouped = replace(found, groups=tuple(f"g{n // 60}" for n in range(120)))
    assert [c.name for c in measure_sets(found).below] == ["b"]
    assert measure_sets(grouped).below == ()
    assert measure_sets(grouped).classes[1].high == pytest.approx(exact_interval(0, 1, confidence=0.975).high)


def test_no_interval_of_the_mean_size_is_impossible_or_invented():
    same = measure_sets(predictions([0, 1], [[1, 0], [0, 1]])).mean_size
    assert (same.value, same.low, same.high, same.reason) == (1.0, None, None, "all sets have this size")
    mixed = measure_sets(predictions([0] * 20, [[1, 0]] * 19 + [[1, 1]])).mean_size
    assert 1 <= mixed.low < 1.05 < mixed.high < 2
    kind, rules = LabelSet((0.5,) * 2), (RULE.changed({"kind": "labels"}),)
    empty = predictions(np.eye(2, dtype=bool)[[0] * 20], [[0, 0]] * 19 + [[1, 1]], kind=kind, rules=rules)
    assert 0 <= measure_sets(empty).mean_size.low < 0.1


def test_the_report_has_the_promise_and_says_what_val_has_done():
    found = predictions([0, 1], [[1, 0], [1, 1]])
    assert "90 % of new samples on average; with 54 independent samples of val yours may be 84 to 96 %" in text_of(
        found
    )
    assert "Val has chosen the epoch and fitted the calibration" in text_of(found)
    assert "fitted on these very samples" in text_of(replace(found, split="val"))
    folds = predictions([0, 1], [[1, 0], [1, 1]], rules=(RULE, RULE), split="out-of-fold")
    assert "Each of 2 folds has a rule of its own" in text_of(folds)
    assert "any class, because" in text_of(predictions([0, 1], [[1, 1], [1, 1]], rules=(
        SetsSpec(kind="lac", level=0.9, quantile=(None,), num_units=8),)))  # fmt: skip


def test_sets_are_written_and_read_and_older_predictions_have_none(tmp_path):
    found = predictions([0, 1, 1], [[1, 0], [1, 1], [0, 1]])
    measured = write_evaluation(tmp_path, found, facts={})
    assert measured.as_json()["sets"]["coverage"]["value"] == 1.0
    assert json.loads((tmp_path / "metrics.json").read_text()) == measured.as_json()
    again = Predictions.read(tmp_path)
    assert (again.sets.within_NK == found.sets.within_NK).all()
    assert again.sets.rules == (RULE,)
    assert again.take(np.array([2])).sets.within_NK.tolist() == [[False, True]]
    assert "Prediction sets" in (tmp_path / "summary.md").read_text()
    older = write_evaluation(tmp_path, replace(found, sets=None), facts={})
    assert "sets" not in older.as_json()
    assert Predictions.read(tmp_path).sets is None
    assert not (tmp_path / "sets.npy").exists()


def test_values_of_a_topic_are_the_same_in_memory_and_read_back(tmp_path):
    topic = Topic(Section("Own", (Text("words"),)), "own", {"names": ("a", ("b",))})
    measured = write_evaluation(tmp_path, predictions([0, 1], [[1, 0], [0, 1]]), facts={}, more=[topic])
    assert measured.as_json()["own"] == {"names": ["a", ["b"]]}
    assert json.loads((tmp_path / "metrics.json").read_text()) == measured.as_json()


def test_joined_sets_need_those_of_every_part():
    part = PredictionSets(np.eye(2, dtype=bool), (RULE,))
    assert PredictionSets.joined([part, part]).rules == (RULE, RULE)
    assert len(PredictionSets.joined([part, part]).within_NK) == 4
    assert PredictionSets.joined([part, None]) is None
