"""Accepted errors of real runs, whose val also chose the epoch, on fresh pictures of CIFAR-10.

Every run has training pictures of its own, drawn from the train archive; all are measured on the same pictures of the
test archive. A row has the rule's threshold, the share of fresh pictures that it accepts and the errors among them.
`frozen`: 60 pictures of each class, MobileNetV2 weights, the head alone, as in outliers.py. `convnet`: 250 pictures of
each of four classes, from scratch at 32 pixels, of 15 epochs the best on val.
    OBVERSE_REAL_DATA=... python benchmarks/fresh.py WORK_FOLDER [KIND...]
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from common import finished, head, metrics, obverse, save, with_settings
from outliers import SETTINGS
from real_sets import unpack

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# Classes, pictures of each to train on, fresh ones of each, number of runs.
KINDS: dict[str, tuple[tuple[str, ...], int, int, int]] = {
    "convnet": (("airplane", "automobile", "frog", "horse"), 250, 500, 8),
    "frozen": (CLASSES, 60, 150, 6),
}


def part_of(folder: Path, root: Path, classes: tuple[str, ...], num: int, seed: int) -> Path:
    """A folder with `num` random pictures of each class of `root`, made once."""
    for label in classes if not folder.exists() else ():
        pictures = sorted((root / label).iterdir())
        (folder / label).mkdir(parents=True)
        for path in random.Random(f"{label}-{seed}").sample(pictures, num):
            shutil.copyfile(path, folder / label / path.name)
    return folder


def train(kind: str, data: Path, run: Path, seed: int) -> None:
    if kind == "frozen":
        weights = Path(os.environ["OBVERSE_REAL_DATA"]) / "mobilenetv2_100_imagenet1k.safetensors"
        how = ["--size", 64, "--weights", weights, *with_settings(*SETTINGS)]
    else:
        settings = ("model.backbone.kind=convnet", "training.epochs=15", "evaluation.maps=0", "runtime.num_threads=1")
        how = ["--size", 32, *with_settings(*settings)]
    obverse("train", data, "--run", run, *with_settings(f"training.seed={seed}"), *how)


def run_one(kind: str, seed: int, work: Path) -> dict[str, Any]:
    classes, num, num_fresh, _ = KINDS[kind]
    root = unpack("cifar10", work)
    data = part_of(work / "fresh" / f"{kind}-{seed}", root / "train", classes, num, seed)
    fresh = part_of(work / "fresh" / f"{kind}-test", root / "test", classes, num_fresh, 0)
    run, out = work / "fresh_runs" / f"{kind}-{seed}", work / "fresh_measured" / f"{kind}-{seed}"
    if not (run / "evaluation" / "test" / "metrics.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        train(kind, data, run, seed)
    shutil.rmtree(out, ignore_errors=True)
    obverse("evaluate", run, "--data", fresh, "--out", out)
    return {"key": f"{kind}-{seed}", "kind": kind, "seed": seed, "commit": head(), **measured(out, run)}


def measured(out: Path, run: Path) -> dict[str, Any]:
    """What the rule of a run does to the fresh pictures."""
    values, rule = json.loads((out / "metrics.json").read_text()), metrics(run, "val")["acceptance"]
    fresh = values["acceptance"]
    return {
        "accuracy": values["accuracy"]["value"],
        "num_fresh": values["num_samples"],
        **{key: rule[key] for key in ("wanted_error", "num_units", "threshold")},
        "accepted_of_val": rule["accepted"]["value"],
        "accepted": fresh["accepted"]["value"],
        "accepted_error": fresh["decisions"]["accept"]["error"],
    }


def main() -> None:
    work, rows = Path(sys.argv[1]), finished("fresh", "key")
    for kind in sys.argv[2:] or KINDS:
        for seed in range(KINDS[kind][3]):
            if f"{kind}-{seed}" not in {row["key"] for row in rows}:
                rows.append(run_one(kind, seed, work))
                print(rows[-1], flush=True)
                save("fresh", rows, command="python benchmarks/fresh.py WORK_FOLDER")


if __name__ == "__main__":
    main()
