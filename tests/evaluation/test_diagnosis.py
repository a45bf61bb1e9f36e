"""Every fault of a training is named, with what to try, and a healthy history says nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from obverse.evaluation import Story, diagnose
from obverse.evaluation.diagnosis.judgements import share_end
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
    "too short": story(history(val_accuracy=list(np.linspace(0.4, 0.9, 12)))),
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
    assert codes(story(rows, best_epoch=11)) == ["too short"]


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


def test_few_right_answers_of_few_are_not_chance() -> None:
    """75 % of 8 samples, where the largest class is half: it may be well above."""
    eight = {"counts": {"a": 40, "b": 40}, "num_val": 8, "num_train": 64}
    assert codes(story(history(val_accuracy=flat(0.75)), train_accuracy=0.72, best_epoch=3, **eight)) == []
    many = {**eight, "num_val": 200, "num_train": 500}
    assert codes(story(history(val_accuracy=flat(0.5)), train_accuracy=0.5, best_epoch=3, **many)) == [
        "stuck at chance"
    ]


def test_a_model_that_finds_both_uneven_classes_does_not_under_fit() -> None:
    """94 % of each class is less accuracy than always saying the larger one."""
    counts, rows = {"a": 500, "b": 20}, history(val_accuracy=flat(0.94))
    balanced = [{**row, "select": "balanced_accuracy", "select_value": 0.94} for row in rows]
    assert "under-fitting" not in codes(story(balanced, counts=counts, train_accuracy=0.94, best_epoch=5))
    assert "under-fitting" not in codes(
        story(rows, counts=counts, train_accuracy=0.94, train_recall=0.94, best_epoch=5)
    )
    poor = story(rows, counts=counts, train_accuracy=0.94, train_recall=0.5, best_epoch=5)
    assert {"under-fitting", "stuck at chance"} & set(codes(poor))


def test_a_loss_that_is_weighted_from_some_epoch_on_has_not_jumped() -> None:
    losses = [0.9 * 0.75**n + 0.05 if n < 8 else 0.75 * 0.8 ** (n - 8) + 0.1 for n in range(NUM_EPOCHS)]
    assert codes(story(history(train_loss=losses))) == []
    assert codes(story(history(train_loss=[*losses[:8], 4.0, 3.9, 3.8, 3.7]), reweighted_at=8)) == []
    assert codes(story(history(train_loss=losses, val_loss=[*flat(0.5)[:8], *[1.5] * 4]))) == ["loss spike"]


def test_advice_fits_what_the_run_has_already() -> None:
    few = {"counts": {"a": 15, "b": 15}}
    for name, told in FAULTS.items():
        for finding in diagnose(replace(told, is_pretrained=True)):
            assert "pretrained weights" not in finding.advice, name
    (found,) = diagnose(story(**few))
    assert found.advice.endswith("or start from pretrained weights")
    assert "backbone" not in diagnose(FAULTS["best epoch is the first"])[0].advice


def test_too_short_is_a_gain_beyond_noise_at_the_end() -> None:
    rising = [0.4, 0.45, 0.5, 0.55, 0.6, 0.64, 0.68, 0.72, 0.76, 0.8, 0.86, 0.85]
    (found,) = diagnose(story(history(val_accuracy=rising)))
    assert found.code == "too short"
    assert "from 0.8 to 0.86 in the last 2 of 12 epochs" in found.what
    assert codes(story(history(val_accuracy=rising), num_val=16, train_accuracy=0.85)) == []
    assert codes(story(history(val_accuracy=[*rising[:-1], 0.75]))) == []  # it has fallen again


def drawn(generator: np.random.Generator) -> Story:
    """Any training: rising, flat, falling or wild, on few samples or many, of even or uneven classes."""
    num, num_val, num_train = (
        int(generator.choice(sizes)) for sizes in ([1, 2, 3, 8, 20], [4, 8, 60, 500], [8, 60, 500])
    )
    counts = {name: int(generator.choice([3, 30, 300])) for name in "abcd"[: generator.integers(2, 5)]}
    start, end, noise = generator.random(), generator.random(), generator.choice([0.0, 0.02, 0.2])
    curve = np.clip(np.linspace(start, end, num) + noise * generator.normal(size=num), 0, 1)
    hits = generator.binomial(num_val, curve) / num_val
    losses = np.exp(generator.normal(0, generator.choice([0.05, 0.6]), num)) * (1.5 - curve)
    select = str(generator.choice(["accuracy", "balanced_accuracy", "macro_f1", "loss"]))
    values = losses if select == "loss" else np.clip(hits + 0.05 * generator.normal(size=num), 0, 1)
    rows = [
        {
            "train_loss": float(losses[n]),
            "val_loss": float(losses[n] * 1.1),
            "val_accuracy": float(hits[n]),
            "select": select,
            "select_value": float(values[n]),
            "learning_rate": float(1e-3 * (1 - n / num)),
        }
        for n in range(num)
    ]
    best = int(np.argmin(values) if select == "loss" else np.argmax(values))
    train = float(generator.binomial(num_train, np.clip(hits[best] + generator.choice([0, 0.3]), 0, 1)) / num_train)
    recall = None if generator.random() < 0.5 else float(generator.random())
    return Story(rows, best, counts, num_val, train, num_train=num_train, train_recall=recall,
                 is_pretrained=bool(generator.random() < 0.5))  # fmt: skip


def test_findings_never_contradict_each_other() -> None:
    generator, seen = np.random.default_rng(0), set()
    exclusive = [
        {"stuck at chance", "over-fitting"},
        {"stuck at chance", "under-fitting"},
        {"over-fitting", "under-fitting"},
        {"stuck at chance", "too short"},
        {"stuck at chance", "best epoch is the first"},
        {"too short", "best epoch is the first"},
    ]
    for _ in range(4000):
        told = drawn(generator)
        findings = {finding.code: finding for finding in diagnose(told)}
        seen |= findings.keys()
        assert not any(pair <= findings.keys() for pair in exclusive), (told, findings.keys())
        advice = " ".join(finding.advice for finding in findings.values())
        assert not ("Train longer" in advice and "fewer epochs" in advice)
        assert not ("higher optim.lr," in advice and "lower optim.lr" in advice and "stuck" not in "".join(findings))
        assert not (told.is_pretrained and "pretrained weights" in advice)
        if "stuck at chance" in findings:
            # The whole interval of what was measured on training samples lies below half of the way.
            assert share_end(told.train_accuracy, told.num_train, upper=True) < 0.5 * (1 + told.chance)
            assert told.val_accuracy < 0.5 * (1 + told.chance)
        if "over-fitting" in findings:
            assert told.train_accuracy - told.val_accuracy > 0.1
        if "under-fitting" in findings:
            assert told.train_accuracy < 0.5 * (1 + told.chance)
    assert {"stuck at chance", "over-fitting", "under-fitting", "too short", "loss spike", "val fluctuates"} <= seen


def test_a_start_that_no_epoch_beat_is_said_and_is_what_the_accuracy_is_of() -> None:
    start = {**history()[0], "epoch": 0, "val_accuracy": 0.95, "select_value": 0.95, "select": "accuracy"}
    rows = history(val_accuracy=flat(0.9))
    shipped = story(rows, best_epoch=-1, start=start)
    assert shipped.val_accuracy == 0.95
    found = {finding.code: finding for finding in diagnose(shipped)}
    assert "accuracy 0.95, then at best 0.9" in found["best epoch is the start"].what
    assert "best epoch is the start" not in codes(story(rows, start=start))


def test_with_a_refit_every_finding_is_said_of_the_first_training() -> None:
    for code in FAULTS:
        (plain,), (refitted,) = diagnose(FAULTS[code]), diagnose(replace(FAULTS[code], is_refitted=True))
        assert refitted.what.startswith("In the first training (without val's samples), ")
        assert refitted.what.endswith(plain.what[1:])
    start = {**history()[0], "epoch": 0, "val_accuracy": 0.95, "select_value": 0.95, "select": "accuracy"}
    (found,) = diagnose(story(history(val_accuracy=flat(0.9)), best_epoch=-1, start=start, is_refitted=True))
    assert "were the best, and the head alone is refitted" in found.what
    assert "ship" not in found.what


def test_no_advice_is_what_the_run_did_already() -> None:
    start = {**history()[0], "epoch": 0, "val_accuracy": 0.95, "select_value": 0.95, "select": "accuracy"}
    begun = story(history(val_accuracy=flat(0.9)), best_epoch=-1, start=start, is_pretrained=True)
    advice = {part: diagnose(replace(begun, trained_part=part))[0].advice for part in ("all", "part", "head")}
    assert "finetune.train=head" in advice["all"]
    assert "finetune.lora" not in advice["part"]
    assert "finetune.train=head" not in advice["head"]
    assert "optim.lr" not in advice["head"]
    for code in ("over-fitting", "best epoch is the first"):
        (finding,) = diagnose(replace(FAULTS[code], is_pretrained=True, trained_part="head"))
        assert "freez" not in finding.advice
