"""Plots never raise or warn (warnings are errors here), whatever the classes are called."""

import math

import matplotlib
import numpy as np
import pytest
from PIL import Image

from obverse.errors import DataError
from obverse.evaluation import write_evaluation
from obverse.evaluation.plots import has_key, plot_conditions, plot_confusion, plot_history
from obverse.evaluation.tick_names import LONGEST_NAME, are_numbered, drawable, tick_names


def size(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return picture.size


@pytest.mark.parametrize("num_classes", [1, 2, 20, 21, 40, 41, 500])
def test_confusion_of_any_number_of_classes(num_classes, tmp_path):
    counts = np.random.default_rng(0).integers(0, 100_000, (num_classes, num_classes))
    plot_confusion(counts, [f"class {index}" for index in range(num_classes)], tmp_path / "c.png")
    assert max(size(tmp_path / "c.png")) < 2500


def test_confusion_of_hostile_names_and_a_class_without_samples(hostile_names, tmp_path):
    counts = np.eye(len(hostile_names), dtype=np.int64)
    counts[1] = 0
    plot_confusion(counts, hostile_names, tmp_path / "c.png")
    assert max(size(tmp_path / "c.png")) < 2500


def test_a_users_matplotlibrc_changes_nothing(tmp_path):
    counts = np.eye(2, dtype=np.int64)
    plot_confusion(counts, ["$a", "b$"], tmp_path / "one.png")
    with matplotlib.rc_context({"text.usetex": True, "font.family": "No Such Font", "axes.facecolor": "red"}):
        plot_confusion(counts, ["$a", "b$"], tmp_path / "two.png")
        assert matplotlib.rcParams["text.usetex"]
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_confusion_of_another_size_is_refused(tmp_path):
    with pytest.raises(DataError, match="2 classes"):
        plot_confusion(np.eye(3, dtype=np.int64), ["a", "b"], tmp_path / "c.png")


def test_drawable():
    assert drawable("MS65") == "MS65"
    assert drawable("a\nb\t c") == "a b c"
    assert drawable("\N{TOMATO}x\x00\udcff\N{RIGHT-TO-LEFT OVERRIDE}") == "�x���"
    assert drawable("é$") == "é$"
    assert len(drawable("W" * 300)) == LONGEST_NAME
    assert drawable("W" * LONGEST_NAME) == "W" * LONGEST_NAME


def test_history_with_gaps_and_missing_keys(tmp_path):
    history = [
        {"epoch": 1, "train_loss": 2.0, "val_loss": 2.1, "train_accuracy": 0.1, "learning_rate": 1e-4, "note": "x"},
        {"epoch": 2, "train_loss": np.float32(1.5), "val_loss": None},
        {"epoch": 3, "train_loss": math.inf, "val_loss": math.nan, "learning_rate": 1e-5},
    ]
    plot_history(history, tmp_path / "all.png")
    plot_history([{"epoch": 1, "train_loss": 2.0}], tmp_path / "loss.png")
    assert size(tmp_path / "all.png")[0] > 2 * size(tmp_path / "loss.png")[0]


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], [{"epoch": 1, "train_loss": math.nan}], [{"train_loss": 1.0}]])
def test_a_history_without_values_is_refused(history, tmp_path):
    with pytest.raises(DataError, match="no epoch"):
        plot_history(history, tmp_path / "h.png")


ALIKE = [f"a rather long name of a class number {n} of its kind, {kind}" for n in range(3) for kind in ("old", "new")]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["MS60", "MS65"], ["MS60", "MS65"]),
        (["金貨", "銀貨", "銅貨"], ["1", "2", "3"]),
        (["cat", "猫", "cat 猫"], ["1 cat", "2", "3 cat"]),
        (["ذهب", "فضة"], ["1", "2"]),
        (["a" * 30 + " left", "a" * 30 + " right"], ["a" * 9 + "…aaaaa left", "a" * 9 + "…aaaa right"]),
        (["a\nb", "a b"], ["1 a b", "2 a b"]),
        (["", "x"], ["1", "2 x"]),
    ],
)
def test_names_of_ticks_are_all_different(names, shown):
    assert tick_names(names) == shown
    assert are_numbered(names) == shown[0].startswith("1")


def test_names_of_ticks_are_different_and_short_whatever_they_are(hostile_names):
    for names in (hostile_names, ALIKE, [f"类{n}" for n in range(40)], ["same name " * 5 + str(n) for n in range(12)]):
        shown = tick_names(names)
        assert len(set(shown)) == len(names)
        assert max(map(len, shown)) <= LONGEST_NAME
        assert not any("\N{REPLACEMENT CHARACTER}" in name for name in shown)


def test_a_plot_with_numbers_has_its_key_in_the_report(make, tmp_path):
    predictions = make(("金貨", "銀貨", "gold"))
    write_evaluation(tmp_path, predictions, facts={})
    for name in ("summary.md", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "number in the plot" in text
    assert "| 2 | 銀貨 |" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    write_evaluation(tmp_path, make(("a", "b", "c")), facts={})
    assert "number in the plot" not in (tmp_path / "summary.md").read_text()
    assert not has_key([f"类{n}" for n in range(41)])  # too many to be named at all


def test_conditions_of_any_name_are_drawn(tmp_path):
    points = {name: [0.5, 0.6] for name in ("基準", "混合", "plain")}
    plot_conditions(points, {}, tmp_path / "sweep.png")
    assert size(tmp_path / "sweep.png")[0] > 100
