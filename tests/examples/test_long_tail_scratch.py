"""Document D's example: its script and its study, on a small index of the same kind."""

import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from obverse.recipe import load_recipe, load_sweep
from obverse.studies.sweep import Sweep

EXAMPLE = Path(__file__).parents[2] / "examples" / "long_tail_scratch"
NAMES = (
    *("config.json", "best_model.pth", "predictions.npy", "true_labels.npy", "names.json", "results.csv"),
    *("embeddings.npy", "training_log.json", "summary.md", "ids.json"),
)
TINY = {
    "data.size": {"height": 16, "width": 16},
    "model.backbone": {"kind": "convnet", "widths": [4, 8]},
    "training.epochs": 1,
    "training.batch_size": 4,
    "schedule.warmup_epochs": 0,
    "evaluation.maps": 2,
    "runtime.num_threads": 1,
    "runtime.num_workers": 0,
    "runtime.precision": "fp32",
    "runtime.channels_last": False,
    "runtime.matmul": "highest",
    "data.split.strategy": "stratified",
}
SIZES = {"rare": 8, "common": 20, "usual": 12}


@pytest.fixture
def index(draw_picture, tmp_path):
    """Pictures in a folder of chips, indexes that name the originals, a path map, and one file that is gone."""
    root = tmp_path / "index"
    root.mkdir()
    for k, (name, size) in enumerate(SIZES.items()):
        for number in range(size):
            draw_picture(tmp_path / "chips" / name / f"{number}.png", gray=50 + 70 * k, seed=100 * k + number)
        listed = [f"/originals/{name}/{number}.png" for number in range(size + (name == "usual"))]
        (root / f"index_{name}.json").write_text(json.dumps({"good": listed}))
    (root / "path_map.json").write_text(json.dumps({"/originals": str(tmp_path / "chips")}))
    return root


def as_settings(values):
    return [part for key, value in values.items() for part in ("--set", f"{key}={json.dumps(value)}")]


def run_script(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["track2_vit_scratch.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLE / "track2_vit_scratch.py"), run_name="__main__")


def test_one_command_gives_the_result_set(index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = as_settings(TINY)
    run_script(monkeypatch, index, *settings)
    out = tmp_path / "results" / "track2_vit_scratch"
    assert [name for name in NAMES if not (out / name).is_file()] == []
    assert list((out / "attention_maps").iterdir())
    names = json.loads((out / "names.json").read_text())
    answers_N, labels_N = np.load(out / "predictions.npy"), np.load(out / "true_labels.npy")
    ids = json.loads((out / "ids.json").read_text())
    assert len(answers_N) == len(labels_N) == len(np.load(out / "embeddings.npy")) == len(ids)
    assert [names["classes"][label] for label in labels_N] == [name.split("/")[0] for name in ids]
    with (out / "results.csv").open(newline="") as file:
        support = {row["class"]: int(row["support"]) for row in csv.DictReader(file)}
    assert sum(support.values()) == len(ids)
    assert set(support) == set(SIZES)
    summary = (out / "summary.md").read_text()
    for words in (
        "best epoch",
        "training time",
        "peak memory",
        "pictures per second",
        "Prediction CV",
        "Bottom 5 classes",
    ):
        assert words in summary
    assert "(training_history.png)" in summary
    assert (out / "training_history.png").is_file()
    weights = torch.load(out / "best_model.pth", weights_only=True)
    assert weights
    report = json.loads((out / "run" / "data_report.json").read_text())
    assert "missing-file" in {finding["code"] for finding in report["findings"]}
    before = (out / "run/bundle/model.safetensors").stat().st_mtime_ns
    run_script(monkeypatch, index, *settings)
    assert (out / "run/bundle/model.safetensors").stat().st_mtime_ns == before


def test_another_command_is_refused_and_what_the_recipe_leaves_out_is_not_missed(index, tmp_path, monkeypatch, capfd):
    """Without maps, embeddings and a test split; then with another setting, recipe and DATA."""
    changes = {"evaluation.maps": 0, "evaluation.embeddings": False, "data.split.test": 0, "data.split.train": 0.8,
               "data.split.val": 0.2}  # fmt: skip
    settings, out = as_settings(TINY | changes), tmp_path / "out"
    run_script(monkeypatch, index, "--out", out, *settings)
    names = set(NAMES) - {"embeddings.npy"}
    assert [name for name in names if not (out / name).is_file()] == []
    assert not (out / "attention_maps").exists()
    assert json.loads((out / "metrics.json").read_text())["split"] == "val"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("extends: long-tail-scratch")
    for other in (
        (index, *settings, "--set", "optim.lr=1e-2"),
        (index, *settings, "--recipe", recipe),
        (elsewhere, *settings),
    ):
        with pytest.raises(SystemExit) as stop:
            run_script(monkeypatch, *other, "--out", out)
        assert stop.value.code == 2
        assert "was begun with another DATA, --recipe or --set; choose another --out" in capfd.readouterr().err
    with pytest.raises(SystemExit) as stop:
        run_script(monkeypatch, index, *settings, "--out", recipe)
    assert stop.value.code == 73


def test_the_study_says_what_the_document_varies():
    spec = load_sweep(EXAMPLE / "study.yaml")
    conditions = {condition.name: condition for condition in spec.conditions()}
    assert list(conditions) == ["baseline", "mixing", "smoothing-0", "smoothing-0.2", "top-100", "top-30"]
    recipes = {name: spec.recipe_of(condition, 0, EXAMPLE) for name, condition in conditions.items()}
    assert [recipe.mixing.is_on for recipe in recipes.values()] == [False, True, False, False, False, False]
    assert [recipe.loss.label_smoothing for recipe in recipes.values()] == [0.1, 0.1, 0, 0.2, 0.1, 0.1]
    assert recipes["top-30"].data.largest_classes == 30
    shipped = load_recipe("long-tail-scratch")
    assert all(recipe.optim == shipped.optim and recipe.model == shipped.model for recipe in recipes.values())
    assert len(spec.criteria) == 3


def test_the_study_runs(index, tmp_path):
    values = yaml.safe_load((EXAMPLE / "study.yaml").read_text())
    values["settings"] |= TINY
    values["variants"] = {
        name: changes for name, changes in values["variants"].items() if name in ("baseline", "mixing", "top-30")
    }
    values["variants"]["top-30"] = {"data.largest_classes": 2}
    values["criteria"] = str(EXAMPLE / "criteria.yaml")
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(values))
    study = Sweep(load_sweep(file), file, index, tmp_path / "out").run()
    assert study.state == "3 of 3 runs finished"
    assert {verdict.criterion for verdict in study.verdicts if verdict.run == "top-30"} == {
        "no divergence",
        "above 15 % on 30 classes",
    }
    rows = json.loads((tmp_path / "out/sweep.json").read_text())["comparison"]["rows"]
    assert "other samples" in rows[2]["note"]
    assert rows[1]["differences"]["accuracy"]["test"] == "exact McNemar"
