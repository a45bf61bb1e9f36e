"""The last event of a run has the metrics of test and names files that are there."""

import json
from pathlib import Path


def test_the_last_event(trained):
    lines = (trained.path / "events.jsonl").read_text().splitlines()
    (event,) = [event for event in map(json.loads, lines) if event["event"] == "RunFinished"]
    values = json.loads((trained.evaluation("test") / "metrics.json").read_text())
    assert event["split"] == "test"
    assert event["metrics"]["accuracy"] == values["accuracy"]["value"]
    assert event["metrics"]["loss"] == values["loss"]["value"]
    assert Path(event["recipe"]) == trained.recipe
    assert Path(event["bundle"], "model.json").is_file()
    for file in ("recipe", "report", "confusion"):
        assert Path(event[file]).is_file()
    assert event["step"] == json.loads((trained.path / "training_log.json").read_text())["epochs"][-1]["step"]
