"""Multi-label predictions as files and as a report."""

import csv
import json

import numpy as np
import pytest
from sklearn import metrics as oracle

from obverse.decisions import LabelSet
from obverse.errors import DataError
from obverse.evaluation import Predictions, Seen, Story, diagnose, measure, write_evaluation


def predictions_of(num=50, classes=("a", "b", "c"), *, views=(), seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.random((num, len(classes))) < 0.4

    def probabilities():
        drawn = 0.3 * truth + 0.7 * generator.random(truth.shape)
        return drawn.astype(np.float32)

    return Predictions(
        split="test",
        classes=tuple(classes),
        ids=tuple(f"s{n}" for n in range(num)),
        truth=truth,
        probabilities_NK=probabilities(),
        kind=LabelSet((0.5, 0.6, 0.4)[: len(classes)]),
        embeddings_ND=generator.random((num, 4), dtype=np.float32),
        view_probabilities={view: probabilities() for view in views},
    )


def test_files_give_the_same_back(tmp_path):
    predictions = predictions_of(views=("front", "back"))
    predictions.write(tmp_path)
    read = Predictions.read(tmp_path)
    for field in ("truth", "probabilities_NK", "embeddings_ND", "answers"):
        np.testing.assert_array_equal(getattr(read, field), getattr(predictions, field))
    assert (read.ids, read.classes, read.kind, read.split) == (
        predictions.ids,
        predictions.classes,
        predictions.kind,
        "test",
    )
    assert list(read.view_probabilities) == ["front", "back"]
    np.testing.assert_array_equal(np.load(tmp_path / "predictions.npy"), predictions.answers)
    np.testing.assert_array_equal(np.load(tmp_path / "true_labels.npy"), predictions.truth)
    (tmp_path / "probabilities.npy").unlink()
    with pytest.raises(DataError, match="no complete predictions"):
        Predictions.read(tmp_path)


def test_numbers_are_those_of_scikit_learn():
    predictions = predictions_of()
    truth, answers = predictions.truth, predictions.answers
    found = measure(predictions)
    assert found["subset_accuracy"].value == pytest.approx(oracle.accuracy_score(truth, answers))
    assert found["hamming_loss"].value == pytest.approx(oracle.hamming_loss(truth, answers))
    assert found["macro_f1"].value == pytest.approx(oracle.f1_score(truth, answers, average="macro"))
    assert found["micro_f1"].value == pytest.approx(oracle.f1_score(truth, answers, average="micro"))
    assert found["map"].value == pytest.approx(oracle.average_precision_score(truth, predictions.probabilities_NK))
    expected = np.mean([oracle.log_loss(truth[:, k], predictions.probabilities_NK[:, k]) for k in range(3)])
    assert found["loss"].value == pytest.approx(expected, rel=1e-5)
    assert found.num_empty == int((~truth.any(axis=1)).sum())
    for name in ("map", "macro_f1", "micro_f1", "subset_accuracy", "hamming_loss"):
        estimate = found[name]
        assert estimate.low < estimate.value < estimate.high


def test_the_report_and_the_tables(tmp_path):
    predictions = predictions_of(views=("front", "back"))
    predictions.view_probabilities["back"][0] = np.nan
    (tmp_path / "confusion_matrix.png").write_bytes(b"of an earlier evaluation")
    write_evaluation(tmp_path, predictions, facts={"model": "m"})
    assert not (tmp_path / "confusion_matrix.png").exists()
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["a", "b", "c"]
    assert [float(row["threshold"]) for row in rows] == [0.5, 0.6, 0.4]
    expected = oracle.average_precision_score(predictions.truth, predictions.probabilities_NK, average=None)
    np.testing.assert_allclose([float(row["average_precision"]) for row in rows], expected)
    assert [int(row["support"]) for row in rows] == predictions.truth.sum(0).tolist()
    assert [int(row["predicted"]) for row in rows] == predictions.answers.sum(0).tolist()
    views = list(csv.DictReader((tmp_path / "views.csv").read_text().splitlines()))
    told = [name for name, has in zip("abc", predictions.truth[1], strict=True) if has]
    assert views[1]["labels"] == "|".join(told)
    assert views[0]["back alone"] == ""
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["labels"] == "multi"
    assert values["views"]["back"]["num_samples"] == 49
    page, summary = (tmp_path / "report.html").read_text(), (tmp_path / "summary.md").read_text()
    for text in (page, summary):
        assert "mean average precision (mAP)" in text
        assert "Hamming loss" in text
        assert "softmax" not in text
    assert "has it, not said" in summary


def test_a_class_without_samples_and_hostile_names(tmp_path, hostile_names):
    num = len(hostile_names)
    truth = np.zeros((6, num), bool)
    truth[:, 1] = [1, 0, 1, 0, 1, 0]
    probabilities = np.random.default_rng(0).random((6, num), dtype=np.float32)
    predictions = Predictions(
        split="val",
        classes=hostile_names,
        ids=tuple("abcdef"),
        truth=truth,
        probabilities_NK=probabilities,
        kind=LabelSet(),
    )
    found = write_evaluation(tmp_path, predictions, facts={}, seen=Seen(chosen=("the best epoch", "the thresholds")))
    assert found.num_classes_without_samples == num - 1
    assert "<script>alert" not in (tmp_path / "report.html").read_text()
    assert "This split chose the best epoch and the thresholds" in (tmp_path / "summary.md").read_text()


def test_predictions_that_do_not_fit_are_refused():
    good = predictions_of()
    values = {name: getattr(good, name) for name in ("split", "classes", "ids", "truth", "probabilities_NK")}
    with pytest.raises(DataError, match="2 thresholds for 3 classes"):
        Predictions(**values, kind=LabelSet((0.5, 0.5)))
    with pytest.raises(DataError, match="probabilities must be"):
        Predictions(**values | {"kind": good.kind, "probabilities_NK": good.probabilities_NK[:, :2]})


def test_diagnoses_of_one_class_per_sample_stay_silent():
    """Whole sets are hardly ever right at first and no class is the largest: nothing follows from either."""
    row = {"train_loss": 0.5, "val_loss": 0.5, "val_accuracy": 0.05, "select_value": 0.5, "select": "map"}
    history = [{**row, "learning_rate": rate} for rate in (1e-2, 5e-3, 1e-4)]
    counts = {"common": 900, "rare": 30}
    single = {finding.code for finding in diagnose(Story(history, 1, counts, 200, 0.5))}
    assert {"stuck at chance", "over-fitting", "unbalanced classes"} & single
    assert diagnose(Story(history, 1, counts, 200, 0.5, multi_label=True)) == []
    assert (
        diagnose(Story(history, 1, {"common": 900, "rare": 3}, 200, 0.5, multi_label=True))[0].code
        == "too few pictures"
    )
