"""Real tiny trainings: what they say at the end, and that no observer can stop them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from obverse.experiment import evaluate_run, start_run
from obverse.experiment.story import imbalance_remedy
from obverse.runs import Event, Message, RunFolder
from obverse.runs.observers import watch


class Said:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def notify(self, event: Event) -> None:
        self.texts += [event.text] if isinstance(event, Message) else []

    def close(self) -> None:
        pass


class Dead:
    def notify(self, event: Event) -> None:
        raise RuntimeError("dead")

    def close(self) -> None:
        raise RuntimeError("dead twice")


def finished(data: Path, recipe: Any, folder: Path, *observers: Any) -> tuple[RunFolder, dict[str, Any], list[str]]:
    said, run = Said(), RunFolder(folder)
    start_run(data, recipe, run, observers=[said, *observers])
    return run, json.loads((run.path / "training_log.json").read_text()), said.texts


def test_a_busy_machine_is_named(
    draw_classes: Any, make_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obverse.experiment.train.busy_note", lambda num_threads: f"busy with {num_threads}")
    recipe = make_recipe(training={"epochs": 1}, runtime={"num_threads": 2})
    said = finished(draw_classes(tmp_path / "data", per_class=8), recipe, tmp_path / "run")[2]
    assert "busy with 2" in said


def test_a_healthy_training_is_told_without_a_diagnosis(draw_classes: Any, make_recipe: Any, tmp_path: Path) -> None:
    data = draw_classes(tmp_path / "data", per_class=32)
    recipe = make_recipe(training={"epochs": 6, "batch_size": 8, "micro_batch_size": 8})
    run, log, said = finished(data, recipe, tmp_path / "run", Dead())
    assert log["diagnosis"] == []
    assert log["train_accuracy"]["value"] == 1.0
    assert log["train_accuracy"]["num_samples"] == run.manifest.read_text().count(",train,")
    assert log["facts"]["train accuracy"].startswith("100.0 % without augmentation and dropout")
    assert [text for text in said if "Dead" in text] == [
        "Dead failed and is left out, training goes on (RuntimeError: dead)"
    ]
    assert "Diagnosis" not in (run.evaluation("test") / "summary.md").read_text()


def test_a_training_on_shuffled_labels_and_few_pictures_says_so_everywhere(
    draw_classes: Any, make_recipe: Any, tmp_path: Path
) -> None:
    data = draw_classes(tmp_path / "data", per_class=16)
    for number in range(0, 16, 2):  # half of each class change places: nothing is left to learn
        dark, light = (data / name / f"{number:02}.png" for name in ("dark", "light"))
        content = dark.read_bytes()
        dark.write_bytes(light.read_bytes())
        light.write_bytes(content)
    recipe = make_recipe(training={"epochs": 4}, schedule={"kind": "constant"}, augment={"policy": "generic"})
    run, log, said = finished(data, recipe, tmp_path / "run")
    codes = {finding["code"] for finding in log["diagnosis"]}
    assert {"too few pictures", "learning rate"} <= codes
    assert codes & {"stuck at chance", "over-fitting", "under-fitting"}
    for finding in log["diagnosis"]:
        assert f"{finding['what']}. {finding['advice']}." in said
    assert "Diagnosis of the training" in (run.evaluation("test") / "report.html").read_text()
    folder, _ = evaluate_run(run.path, split="val")
    assert "Diagnosis of the training" in (folder / "summary.md").read_text()


@pytest.mark.parametrize(
    ("sections", "remedy"),
    [
        ({"loss": {"kind": "cross-entropy"}}, "loss.kind=logit-adjustment with loss.prior=tuned"),
        ({"loss": {"kind": "sord"}}, "loss.class_weights=sqrt"),
        ({"loss": {"kind": "logit-adjustment", "prior": "tuned"}}, None),
        ({"loss": {"kind": "cross-entropy", "class_weights": "sqrt"}}, None),
        ({"training": {"sampler": "sqrt"}}, None),
    ],
)
def test_uneven_classes_hear_of_a_remedy_where_the_recipe_has_none(
    make_recipe: Any, sections: dict[str, Any], remedy: str | None
) -> None:
    assert imbalance_remedy(make_recipe(**sections)) == remedy


def test_a_tracker_that_cannot_be_opened_does_not_stop_the_training(
    draw_classes: Any, make_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "no-such-scheme://nowhere")
    pytest.importorskip("mlflow")
    recipe = make_recipe(training={"epochs": 1, "trackers": ["mlflow"]})
    run, _, said = finished(draw_classes(tmp_path / "data"), recipe, tmp_path / "run")
    assert run.is_finished
    assert any(text.startswith("the tracker mlflow could not be opened and is left out") for text in said)


def test_no_observer_hears_after_it_has_failed() -> None:
    assert watch.Watch([]).notify(Message("nobody listens")) is None
