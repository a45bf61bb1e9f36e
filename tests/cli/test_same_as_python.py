"""The command and the Python API are the same functions: equal options give equal results."""

import html
import json
import re

import numpy as np
import pytest

import obverse as package
from obverse.recipe.yaml_text import parse_yaml


@pytest.fixture(scope="module")
def python_run(shapes, tiny, tmp_path_factory):
    """As the fixture `shapes_run` trains it with the command, with some of the settings in their short forms."""
    pairs = (text.partition("=") for text in tiny if text != "--set")
    settings = {field: parse_yaml(value, field) for field, _, value in pairs}
    short = {"epochs": settings.pop("training.epochs"), "batch_size": settings.pop("training.batch_size")}
    size = settings.pop("data.size")
    path = tmp_path_factory.mktemp("python") / "shapes"
    return package.train(shapes, run=path, settings=settings, size=(size["height"], size["width"]), **short)


def test_weights_and_measurements_are_equal(python_run, shapes_run):
    weights = [(path / "bundle/model.safetensors").read_bytes() for path in (python_run.path, shapes_run)]
    assert weights[0] == weights[1]
    assert python_run.metrics == json.loads((shapes_run / "evaluation/test/metrics.json").read_text())
    mine, other = (np.load(path / "evaluation/test/predictions.npy") for path in (python_run.path, shapes_run))
    np.testing.assert_array_equal(mine, other)
    assert package.load(python_run).classes == package.load(shapes_run).classes


def test_evaluate(obverse, shapes_run, tmp_path):
    result = package.evaluate(shapes_run, split="val", out=tmp_path / "python")
    assert obverse("evaluate", shapes_run, "--split", "val", "--out", tmp_path / "command").code == 0
    assert result.metrics == json.loads((tmp_path / "command/metrics.json").read_text())
    assert result.notes[0].startswith("This split chose the best epoch")
    assert result.report.is_file()


def test_compare(obverse, two_runs):
    command = json.loads(obverse("compare", *two_runs, "--format", "json").out)
    comparison = json.loads(json.dumps(package.compare(*two_runs).as_json()))
    assert comparison == {key: command[key] for key in comparison}


def test_a_notebook_shows_what_the_terminal_shows(obverse, two_runs, classes, tmp_path):
    page = package.compare(*two_runs)._repr_html_()
    table = obverse("compare", *two_runs).out
    assert table.count("macro_f1") == page.count("macro_f1")
    # A row of each run, and the reason why so few samples give no interval.
    assert table.count("macro_f1") >= 2
    assert html.escape("differences are from slow, on the same samples") in page
    (bad := classes(tmp_path / "data") / "dark" / "bad.jpg").write_bytes(b"")
    page = package.check(bad.parents[1])._repr_html_()
    assert re.findall(r"<th scope=.row.>(\w+)</th>", page) == ["error"]
    assert "empty-file" in page


def test_check(obverse, classes, tmp_path):
    data = classes(tmp_path / "data")
    (data / "dark" / "bad.jpg").write_bytes(b"")
    assert obverse("check", data, "--out", tmp_path / "command").code == 65
    result = package.check(data, out=tmp_path / "python")
    files = [(tmp_path / folder / "check.json").read_bytes() for folder in ("command", "python")]
    assert files[0] == files[1]
    assert result.counts["error"] == 1
