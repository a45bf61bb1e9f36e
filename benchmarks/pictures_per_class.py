"""Accuracy against pictures per class: how far more pictures carry, on euro_coins and CIFAR-10, from scratch.

Everything is as `obverse train` chooses it, but every run sees the same number of pictures, so that few of them do not
mean a shorter training. The subset is drawn by seed; classes that have fewer give what they have. A tenth of it, at
least one picture per class, is val; test is the set's own and is looked at once.
    OBVERSE_REAL_DATA=... python benchmarks/pictures_per_class.py WORK_FOLDER
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import metrics, processor_seconds, run_wanted, with_settings
from real_sets import unpack

SEEDS = (0, 1, 2)
SIZES = {"euro_coins": (10, 20, 50, 100, 200), "cifar10": (20, 50, 100, 300, 1000)}
# About a minute and a half on one core: at 128 pixels, and at 32.
PICTURES_TO_SEE = {"euro_coins": 10_000, "cifar10": 120_000}
SETTINGS = ["runtime.num_threads=1", "runtime.precision=fp32", "runtime.matmul=highest", "runtime.channels_last=true"]


def write_table(data: Path, seed: int, per_class: int) -> tuple[Path, int]:
    """A table of the subset with its val and the whole test set, and how many pictures training has."""
    generator = np.random.default_rng([seed, per_class])
    rows = []
    for folder in sorted((data / "train").iterdir()):
        pictures = sorted(folder.iterdir())
        chosen = [pictures[place] for place in generator.permutation(len(pictures))[:per_class]]
        num_val = max(1, len(chosen) // 10)
        rows += [(folder.name, "val" if n < num_val else "train", p.relative_to(data)) for n, p in enumerate(chosen)]
        tests = sorted((data / "test" / folder.name).iterdir())
        rows += [(folder.name, "test", picture.relative_to(data)) for picture in tests]
    path = data / f"per-class-{per_class}-{seed}.csv"
    with tempfile.NamedTemporaryFile("w", newline="", dir=data, delete=False) as file:
        csv.writer(file).writerows([("label", "split", "image"), *rows])
    Path(file.name).replace(path)
    return path, sum(split == "train" for _, split, _ in rows)


def run_one(work: Path, seed: int, name: str, per_class: int) -> dict[str, Any]:
    run = work / "runs" / f"per-class-{name}-{per_class}-{seed}"
    shutil.rmtree(run, ignore_errors=True)  # of a run that was cut off
    table, num_train = write_table(unpack(name, work), seed, per_class)
    epochs = max(10, round(PICTURES_TO_SEE[name] / num_train))
    settings = [*SETTINGS, f"training.seed={seed}", f"training.epochs={epochs}"]
    seconds = processor_seconds("train", table, "--run", run, *with_settings(*settings))
    test = metrics(run)
    return {
        "seed": seed,
        "set": name,
        "per_class": per_class,
        "num_train": num_train,
        "epochs": epochs,
        "test_accuracy": test["accuracy"],
        "test_macro_f1": test["macro_f1"],
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    work = Path(sys.argv[1])
    jobs = [(seed, name, size) for seed in SEEDS for name, sizes in SIZES.items() for size in sizes]
    command = "python benchmarks/pictures_per_class.py WORK_FOLDER"
    run_wanted("pictures_per_class", jobs, lambda *job: run_one(work, *job), command=command)


if __name__ == "__main__":
    main()
