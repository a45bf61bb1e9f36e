"""Every fault of a training is named, with what to try, and a healthy history says nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from obverse.evaluation import Story, diagnose
from obverse.evaluation.report import write_evaluation

NUM_EPOCHS = 12


def history(**columns: list[float]) -> list[dict[str, Any]]:
    """A healthy training of 12 epochs: accuracy rises and levels off, the rate follows a cosine."""
    t = np.arange(1, NUM_EPOCHS + 1) / NUM_EPOCHS
    healthy = {
        "train_loss": 0.2 + 1.3 * np.exp(-5 * t),
        "val_loss": 0.25 + 1.3 * np.exp(-5 * t),
        "val_accuracy": 0.92 - 0.6 * np.exp(-8 * t),
        "learning_rate": 0.5e-3 * (1 + np.cos(np.pi * t)),
    }
    columns = {name: list(map(float, columns.get(name, values))) for name, values in healthy.items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{**row, "select": "accuracy", "select_value": row["val_accuracy"]} for row in rows]


def story(rows: list[dict[str, Any]] | None = None, **changes: Any) -> Story:
    rows = history() if rows is None else rows
    best = int(np.argmax([row["select_value"] for row in rows])) if rows else -1
    values = {"best_epoch": best, "counts": {"a": 300, "b": 250, "c": 200}, "num_val": 300, "train_accuracy": 0.95}
    return Story(rows, **{**values, **changes})


def codes(told: Story) -> list[str]:
    return [finding.code for finding in diagnose(told)]


def test_a_healthy_run_says_nothing() -> None:
    assert diagnose(story()) == []
    assert diagnose(story([], best_epoch=-1)) == []
    assert diagnose(story(history()[:2], counts={"a": 90, "b": 60}, train_accuracy=0.8)) == []


def flat(value: float) -> list[float]:
    return [value] * NUM_EPOCHS


def replaced(column: str, epoch: int, value: float) -> list[dict[str, Any]]:
    rows = history()
    rows[epoch][column] = value
    return rows


SAW = [0.3, 0.5, 0.6, 0.7, 0.85, 0.55, 0.84, 0.5, 0.86, 0.6, 0.87, 0.6]
FAULTS = {
    "stuck at chance": story(history(val_accuracy=flat(0.39)), train_accuracy=0.41, best_epoch=3),
    "diverged": story(replaced("val_loss", -1, math.nan)),
    "loss spike": story(replaced("train_loss", 7, 1.2)),
    "val fluctuates": story(history(val_accuracy=SAW), train_accuracy=0.9),
    "over-fitting": story(train_accuracy=1.0, rows=history(val_accuracy=[0.8, *flat(0.88)[1:]])),
    "under-fitting": story(history(val_accuracy=[0.5, *flat(0.55)[1:]]), train_accuracy=0.6, best_epoch=5),
    "learning rate": story(history(learning_rate=flat(0.001))),
    "too few pictures": story(counts={"a": 60, "b": 60, "c": 19}),
    "unbalanced classes": story(counts={"a": 500, "b": 300, "c": 24}),
    "stopped early": story(stop_reason="no better accuracy since epoch 9"),
    "best epoch is the last": story(history(val_accuracy=list(np.linspace(0.4, 0.9, 12)))),
    "best epoch is the first": story(history(val_accuracy=[0.93, *flat(0.9)[1:]])),
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_named_alone_and_says_what_to_try(code: str) -> None:
    findings = diagnose(FAULTS[code])
    assert [finding.code for finding in findings] == [code]
    assert len(findings[0].what) > 20
    assert findings[0].advice.split()[0] in ("Try", "Look", "Add", "Train", "If")
    assert findings[0].sentence == f"{findings[0].what}. {findings[0].advice}."


def test_a_loss_that_grows_without_end_has_diverged() -> None:
    assert codes(story(history(train_loss=[0.7, 0.6, *np.linspace(1, 30, 10)]))) == ["diverged"]


def test_over_fitting_begins_above_ten_points_of_plain_train_accuracy() -> None:
    val = story().val_accuracy
    assert codes(story(train_accuracy=val + 0.0999)) == []
    assert codes(story(train_accuracy=val + 0.1001)) == ["over-fitting"]


def test_chance_is_that_of_the_largest_class_and_a_small_val_set_is_given_its_noise() -> None:
    skewed = {"a": 900, "b": 50, "c": 50}
    assert codes(story(history(val_accuracy=flat(0.9)), counts=skewed, train_accuracy=0.9)) == ["stuck at chance"]
    assert codes(story(history(val_accuracy=flat(0.95)), counts=skewed, train_accuracy=0.96)) == []
    assert "stuck at chance" in codes(story(history(val_accuracy=flat(0.5)), num_val=40, train_accuracy=0.42))
    assert "stuck at chance" not in codes(story(history(val_accuracy=flat(0.5)), num_val=4000, train_accuracy=0.5))


def test_rare_classes_that_are_found_below_the_accuracy_of_the_largest_class_are_no_chance() -> None:
    skewed, rows = {"a": 900, "b": 50, "c": 50}, history(val_accuracy=flat(0.8))
    for select, found, stuck in (("balanced_accuracy", 0.7, 0.34), ("macro_f1", 0.6, 0.32)):
        for value, is_stuck in ((found, False), (stuck, True)):
            told = story([{**row, "select": select, "select_value": value} for row in rows], counts=skewed,
                         train_accuracy=0.8)  # fmt: skip
            assert ("stuck at chance" in codes(told)) is is_stuck


def test_uneven_classes_are_told_what_the_recipe_does_not_do_yet() -> None:
    counts = {"a": 500, "b": 300, "c": 24}
    (done,) = diagnose(story(counts=counts))
    assert "the recipe makes up for it" in done.advice
    (asked,) = diagnose(story(counts=counts, imbalance_remedy="loss.class_weights=sqrt"))
    assert asked.advice.startswith("Try loss.class_weights=sqrt, and judge by balanced accuracy")


def test_fluctuation_within_the_noise_of_a_small_val_set_is_not_wild() -> None:
    assert codes(story(history(val_accuracy=SAW), train_accuracy=0.9, num_val=12)) == []


def test_a_last_best_epoch_without_a_material_gain_is_healthy_and_a_falling_loss_is_a_gain() -> None:
    assert codes(story(history(val_accuracy=flat(0.92)))) == []
    flat_end = [*np.linspace(0.4, 0.9, 8), 0.9, 0.9, 0.901, 0.902]
    assert codes(story(history(val_accuracy=flat_end))) == []
    rows = [{**row, "select": "loss", "select_value": 1 - 0.05 * n} for n, row in enumerate(history())]
    assert codes(story(rows, best_epoch=11)) == ["best epoch is the last"]


def test_the_report_shows_what_stands_out(make: Any, tmp_path: Any) -> None:
    findings = diagnose(FAULTS["over-fitting"])
    write_evaluation(tmp_path, make(), facts={}, diagnoses=findings)
    for name in ("summary.md", "report.html"):
        page = (tmp_path / name).read_text()
        assert "Diagnosis of the training" in page
        assert "points apart" in page
        assert "stronger augmentation" in page
    write_evaluation(tmp_path, make(), facts={})
    assert "Diagnosis" not in (tmp_path / "summary.md").read_text()
