"""Folders of past runs as training leaves them, made without training."""

import csv
import json
import os
from pathlib import Path

import numpy as np

from obverse.decisions import LabelSet
from obverse.evaluation import Predictions, measure

CLASSES = ("a", "b", "c")
BUNDLE = {"format": "obverse-bundle", "classes": CLASSES, "weights_sha256": ""}


def predictions(share, seed=0, *, num=60, split="test", sets=False, groups=(), first=0):
    """Answers of which about `share` are right."""
    generator = np.random.default_rng(seed)
    truth_N = (np.arange(num) + first) % 3
    answers_N = np.where(generator.random(num) < share, truth_N, (truth_N + 1) % 3)
    probabilities_NK = np.full((num, 3), 0.1, np.float32)
    probabilities_NK[np.arange(num), answers_N] = 0.8
    ids = tuple(f"s{n + first}" for n in range(num))
    truth, kind = (np.eye(3, dtype=bool)[truth_N], {"kind": LabelSet()}) if sets else (truth_N, {})
    return Predictions(
        split=split, classes=CLASSES, ids=ids, truth=truth, probabilities_NK=probabilities_NK, groups=groups, **kind
    )


def write_evaluation(folder, found):
    found.write(folder)
    (folder / "metrics.json").write_text(json.dumps(measure(found).as_json()), encoding="utf-8")


def write_json(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def write_manifest(path, *, num=90, data="coins", split=lambda n: "test" if n < 60 else "train"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "label", "split", "group", "digest", "image"))
        writer.writerows((f"s{n}", CLASSES[n % 3], split(n), "", f"{data}{n}", f"{data}/{n}.jpg") for n in range(num))


def begin_run(path: Path, *, data="coins", model="resnet18", **manifest):
    """A run that was stopped after its first files."""
    backbone = {"kind": "timm", "name": model, "pretrained": "hub"}
    write_json(path / "config.json", {"data": {"path": f"/somewhere/{data}"}, "model": {"backbone": backbone}})
    (path / "recipe.yaml").write_text("name: auto\n")
    write_manifest(path / "manifest.csv", data=data, **manifest)
    return path


def finish_run(path: Path, share=0.8, seed=0, *, data="coins", model="resnet18", best=0.5, select="accuracy", **found):
    """A finished run with its evaluation."""
    begin_run(path, data=data, model=model)
    log = {
        "epochs": [{"epoch": 1, "select": select}],
        "best_value": best,
        "seconds": 90.0,
        "facts": {"parameters": "1,234, 1,000 trained"},
    }
    write_json(path / "training_log.json", log)
    os.utime(path / "training_log.json", (1_700_000_000, 1_700_000_000))
    write_json(path / "bundle" / "model.json", BUNDLE)
    (path / "bundle" / "model.safetensors").touch()
    split = found.get("split", "test")
    write_evaluation(path / "evaluation" / split, predictions(share, seed, **found))
    return path
