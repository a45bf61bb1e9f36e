"""A run with label fixes: they are recorded, a resumed run is the same, and the files of the data stay as they are."""

import csv
import json

import pytest

from obverse.errors import DataError
from obverse.experiment import resume_run, start_run
from obverse.files import read_json_object
from obverse.recipe import load_recipe
from obverse.runs import RunFolder

ROWS = "id,label,new_label,action\ndark/00.png,dark,light,change\nlight/01.png,light,dark,drop\n"


@pytest.fixture
def data(draw_classes, tmp_path):
    return draw_classes(tmp_path / "data", per_class=10)


@pytest.fixture
def fixes(tmp_path):
    path = tmp_path / "fixes.csv"
    path.write_text(ROWS)
    return path


def labels(run):
    with run.manifest.open(newline="") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}


def test_a_run_records_its_fixes_and_another_can_repeat_it(data, fixes, make_recipe, tmp_path, monkeypatch):
    pictures = {path: path.read_bytes() for path in data.rglob("*.png")}
    monkeypatch.chdir(tmp_path)
    run = RunFolder(tmp_path / "run")
    start_run(data, make_recipe(data={"fixes": ["fixes.csv"], "size": 16}, training={"epochs": 1}), run)
    assert {path: path.read_bytes() for path in data.rglob("*.png")} == pictures
    assert labels(run)["dark/00.png"] == "light"
    assert "light/01.png" not in labels(run)
    assert load_recipe(str(run.recipe)).data.fixes == (str(fixes.resolve()),)
    message = "1 label changed, 1 sample dropped by fixes.csv"
    assert f"| label fixes | {message} |" in (run.evaluation("val") / "summary.md").read_text()
    # The run itself as data: its manifest is fixed already.
    again = RunFolder(tmp_path / "again")
    start_run(run.path, load_recipe(str(run.recipe), ["data.layout=auto"]), again)
    assert labels(again) == labels(run)
    assert "the stored manifest already has all 2 fixes of fixes.csv" in (again.path / "data_report.json").read_text()
    # Another copy of the data, from another folder.
    moved = tmp_path / "moved"
    data.rename(moved)
    other = RunFolder(tmp_path / "other")
    start_run(moved, load_recipe(str(run.recipe)), other)
    assert labels(other) == labels(run)


def test_a_resumed_run_does_not_read_the_fixes_again(data, fixes, make_recipe, tmp_path):
    recipe = make_recipe(data={"fixes": [str(fixes)], "size": 16}, training={"epochs": 2})
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    start_run(data, recipe, whole)
    start_run(data, recipe, stopped)
    for path in (*(stopped.path / "bundle").iterdir(), stopped.path / "training_log.json"):
        path.unlink()
    fixes.unlink()
    resume_run(stopped)
    same = [(run.path / "bundle/model.safetensors").read_bytes() for run in (whole, stopped)]
    assert same[0] == same[1]


def test_fixes_of_other_data_are_refused_before_a_run_begins(data, fixes, make_recipe, tmp_path):
    fixes.write_text("id,action\nelsewhere/1.png,drop\n")
    run = RunFolder(tmp_path / "run")
    with pytest.raises(DataError, match=r"fixes\.csv, row 2: the data has no sample 'elsewhere/1\.png'"):
        start_run(data, make_recipe(data={"fixes": [str(fixes)]}), run)
    assert not run.path.exists()


def test_the_command_takes_fixes(data, fixes, tmp_path):
    from typer.testing import CliRunner

    from obverse.cli.main import app

    out = tmp_path / "manifest.csv"
    result = CliRunner().invoke(app, ["prepare", str(data), "--fixes", str(fixes), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Note: 1 label changed, 1 sample dropped by fixes.csv" in result.output
    assert "dark/00.png,light," in out.read_text()
    result = CliRunner().invoke(app, ["check", str(data), "--fixes", str(fixes), "--out", str(tmp_path / "check")])
    assert result.exit_code == 0, result.output
    findings = read_json_object(tmp_path / "check" / "check.json")["findings"]
    assert json.dumps(findings).count("dropped by fixes.csv") == 1
    result = CliRunner().invoke(
        app, ["folds", str(data), "--fixes", str(tmp_path / "none.csv"), "--out", str(tmp_path / "o")]
    )
    assert result.exit_code != 0
    assert "none.csv" in f"{result.exception} {result.output}"
