"""From a folder of pictures to a prediction, through the command."""

import csv
import io
import json
import re

import numpy as np
import pytest

import obverse as package
from obverse.recipe import load_recipe

RUN_FILES = (
    "recipe.yaml",
    "config.json",
    "manifest.csv",
    "environment.json",
    "data_report.json",
    "training_log.json",
    "training_history.png",
    "bundle/model.safetensors",
    "bundle/model.json",
)
EVALUATION_FILES = (
    "predictions.npy",
    "true_labels.npy",
    "probabilities.npy",
    "ids.json",
    "names.json",
    "results.csv",
    "metrics.json",
    "confusion_matrix.png",
    "embeddings.npy",
    "report.html",
    "summary.md",
)


def test_the_run_folder_holds_what_the_architecture_page_lists(shapes_run):
    missing = [name for name in RUN_FILES if not (shapes_run / name).stat().st_size]
    missing += [name for name in EVALUATION_FILES if not (shapes_run / "evaluation/test" / name).stat().st_size]
    assert missing == []
    assert len(list(shapes_run.glob("events.out.tfevents.*"))) == 1
    (checkpoint,) = (shapes_run / "checkpoints").iterdir()
    assert re.fullmatch(r"step-\d{6}", checkpoint.name)
    assert not list(shapes_run.rglob("*.tmp"))


def test_the_saved_recipe_is_resolved_and_config_json_says_the_same(shapes_run):
    recipe = load_recipe(str(shapes_run / "recipe.yaml")).model_dump(mode="json")
    config = json.loads((shapes_run / "config.json").read_text(encoding="utf-8"))
    assert set(_places_of_auto(recipe)) <= {"name"}
    assert config.pop("classes") == json.loads((shapes_run / "evaluation/test/names.json").read_text())["classes"]
    assert config == recipe


def _places_of_auto(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _places_of_auto(value, f"{prefix}{key}.")
        elif value == "auto":
            yield prefix + key


def test_result_files_are_in_one_row_order(shapes_run):
    folder = shapes_run / "evaluation/test"
    ids = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    classes = json.loads((folder / "names.json").read_text(encoding="utf-8"))["classes"]
    arrays = {name: np.load(folder / f"{name}.npy") for name in ("predictions", "true_labels", "probabilities")}
    with (shapes_run / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    assert ids == [row["id"] for row in rows]
    assert [classes[label] for label in arrays["true_labels"]] == [row["label"] for row in rows]
    assert arrays["predictions"].tolist() == arrays["probabilities"].argmax(axis=1).tolist()
    assert len(np.load(folder / "embeddings.npy")) == len(ids)
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        results = list(csv.DictReader(file))
    assert [row["class"] for row in results] == classes
    assert [int(row["support"]) for row in results] == np.bincount(arrays["true_labels"]).tolist()


def test_predictions_equal_the_evaluation_of_the_same_pictures(shapes, shapes_run):
    ids = json.loads((shapes_run / "evaluation/test/ids.json").read_text(encoding="utf-8"))
    probabilities = np.load(shapes_run / "evaluation/test/probabilities.npy")
    found = package.load(shapes_run).predict([shapes / name for name in ids])
    assert [p.probability for p in found] == pytest.approx(probabilities.max(axis=1).tolist(), abs=1e-6)


def test_evaluate_val_repeats_what_training_measured(obverse, shapes_run, tmp_path):
    out = tmp_path / "val"
    result = obverse("evaluate", shapes_run, "--split", "val", "--out", out)
    assert result.code == 0, result.err
    then = json.loads((shapes_run / "evaluation/val/metrics.json").read_text())
    now = json.loads((out / "metrics.json").read_text())
    assert now["accuracy"] == then["accuracy"]
    assert f"accuracy {now['accuracy']['value']:.4f}" in result.out
    assert str(out / "report.html") in result.out


def test_table_csv_json_and_python_give_the_same_numbers(obverse, shapes, shapes_run):
    arguments = ("predict", shapes_run, shapes / "sample.jpg", shapes / "star", "--top-k", 2)
    texts = {form: obverse(*arguments, "--format", form).out for form in ("table", "csv", "json")}
    rows = json.loads(texts["json"])
    expected = package.load(shapes_run).predict([shapes / "sample.jpg", shapes / "star"], top_k=2)
    assert [row["id"] for row in rows] == [p.id for p in expected]
    assert [[tuple(c.values()) for c in row["top"]] for row in rows] == [list(p.top) for p in expected]
    table = csv.DictReader(io.StringIO(texts["csv"]))
    for row, cells in zip(rows, table, strict=True):
        assert cells["id"] == row["id"]
        for place, top in enumerate(row["top"], 1):
            assert cells[f"class_{place}"] == top["label"]
            assert float(cells[f"probability_{place}"]) == pytest.approx(top["probability"], abs=1e-6)
    lines = [f"  {top['probability']:7.2%}  {top['label']}" for row in rows for top in row["top"]]
    printed = texts["table"].splitlines()
    assert [line for line in printed if re.match(r" +[\d.]+%  ", line)] == lines
    for row in rows:
        assert f"  {row['decision']}: {row['reason']}" in printed


def test_two_views_on_the_command_line_and_in_python(obverse, coins, coins_run):
    first = next((coins / name) for name in sorted(p.name for p in coins.iterdir() if p.is_dir()))
    views = {view: sorted((first / view).iterdir())[0] for view in ("obverse", "reverse")}
    given = [word for view, path in views.items() for word in ("--view", f"{view}={path}")]
    result = obverse("predict", coins_run, *given, "--format", "json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    (expected,) = package.load(coins_run).predict(views)
    assert row["probability"] == expected.probability
    assert {view: found["label"] for view, found in row["by_view"].items()} == {
        view: label for view, ((label, _),) in expected.by_view.items()
    }
    assert "obverse alone: " in obverse("predict", coins_run, *given).out


def test_a_missing_view_still_predicts(obverse, coins, coins_run):
    picture = next(coins.glob("*/reverse/*"))
    result = obverse("predict", coins_run, "--view", f"reverse={picture}", "--format", "json")
    assert result.code == 0, result.err
    assert list(json.loads(result.out)[0]["by_view"]) == ["reverse"]


def test_a_folder_of_two_views_is_paired(obverse, coins, coins_run):
    grade = next(path for path in sorted(coins.iterdir()) if path.is_dir())
    result = obverse("predict", coins_run, grade, "--format", "json")
    assert result.code == 0, result.err
    assert len(json.loads(result.out)) == len(list((grade / "obverse").iterdir()))


def test_training_says_what_it_does(obverse, classes, tiny, tmp_path):
    result = obverse("train", classes(tmp_path / "data"), "--run", tmp_path / "run", "--device", "cpu", *tiny)
    assert result.code == 0, result.err
    assert "one class per folder: 2 classes, 12 pictures" in result.err
    assert re.search(r"epoch 1  loss \d.*accuracy .*pictures/s  data wait \d+%.*left 0:00", result.err)
    assert re.search(r"test accuracy \d+\.\d% \(95 % interval", result.out)
    assert "predict: obverse predict" in result.out
    assert json.loads((tmp_path / "run/config.json").read_text())["runtime"]["device"] == "cpu"
