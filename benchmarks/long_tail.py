"""CIFAR-10 made uneven, 5000 to 50 pictures per class: what each remedy gives over plain cross entropy.

Everything but the loss, the sampler and a narrower convnet is as `obverse train` chooses it. A run is EPOCHS long,
about three minutes on two idle cores (at 3,000 pictures/s), so that results do not depend on what else the machine
does. The best epoch is chosen on val, a tenth of each class's few pictures; test, which is even, is looked at once.
Seed by seed, so that a partial table compares all methods on the same seeds.
    OBVERSE_REAL_DATA=... python benchmarks/long_tail.py WORK_FOLDER
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import metrics, processor_seconds, run_wanted, with_settings
from real_sets import unpack

from obverse.evaluation import Predictions

SEEDS = (0, 1, 2)
# 11,170 training pictures.
EPOCHS = 40
COMMON = [
    f"training.epochs={EPOCHS}",
    "training.select=balanced_accuracy",
    "model.backbone={kind: convnet, widths: [16, 32, 64], mirrored: false}",
    "runtime.num_threads=1",
    "runtime.precision=fp32",
    "runtime.matmul=highest",
    "runtime.channels_last=true",
]
LARGEST, SMALLEST = 5000, 50
# By pictures in the set before val is taken: 5000, 2997, 1796, 1077 | 645, 387, 232 | 139, 83, 50.
MANY, FEW = 1000, 200
METHODS: dict[str, list[str]] = {
    "plain": ["loss.kind=cross-entropy"],
    "sqrt": ["loss.kind=cross-entropy", "loss.class_weights=sqrt"],
    "effective": ["loss.kind=cross-entropy", "loss.class_weights=effective", "loss.effective_beta=0.9999"],
    "deferred effective": [
        "loss.kind=cross-entropy",
        "loss.class_weights=effective",
        "loss.effective_beta=0.9999",
        "loss.defer_fraction=0.8",
    ],
    "sqrt sampling": ["loss.kind=cross-entropy", "training.sampler=sqrt"],
    "logit adjustment": ["loss.kind=logit-adjustment", "loss.prior=balanced"],
    "logit adjustment, no smoothing": [
        "loss.kind=logit-adjustment",
        "loss.prior=balanced",
        "loss.label_smoothing=0.0",
    ],
    "logit adjustment, tuned": ["loss.kind=logit-adjustment", "loss.prior=tuned"],
}


def class_sizes(num_classes: int = 10) -> list[int]:
    """Exponential decay from the largest to the smallest class (Cui et al. 2019)."""
    ratio = SMALLEST / LARGEST
    return [int(LARGEST * ratio ** (k / (num_classes - 1))) for k in range(num_classes)]


def write_table(cifar: Path, seed: int) -> Path:
    """A table of the uneven training set with its val, and the whole test set; the seed decides which pictures."""
    path = cifar / f"long-tail-{seed}.csv"
    if path.exists():
        return path
    generator = np.random.default_rng(seed)
    rows = []
    classes = sorted(folder.name for folder in (cifar / "train").iterdir())
    for name, size in zip(classes, class_sizes(), strict=True):
        pictures = sorted((cifar / "train" / name).iterdir())
        chosen = [pictures[place] for place in generator.permutation(len(pictures))[:size]]
        for place, picture in enumerate(chosen):
            rows.append((name, "val" if place < size // 10 else "train", picture.relative_to(cifar)))
        rows += [(name, "test", picture.relative_to(cifar)) for picture in sorted((cifar / "test" / name).iterdir())]
    with tempfile.NamedTemporaryFile("w", newline="", dir=cifar, delete=False) as file:
        csv.writer(file).writerows([("label", "split", "image"), *rows])
    Path(file.name).replace(path)
    return path


def recalls(run: Path) -> dict[str, float]:
    """Mean recall on test over all classes, and over those with many, some and few pictures."""
    predictions = Predictions.read(run / "evaluation" / "test")
    hits_N = predictions.is_right_N
    recall_K = np.array([hits_N[predictions.truth == k].mean() for k in range(len(predictions.classes))])
    sizes_K = np.array(class_sizes())
    groups = {
        "balanced_accuracy": sizes_K > 0,
        "many_shot": sizes_K > MANY,
        "medium_shot": (sizes_K <= MANY) & (sizes_K >= FEW),
        "few_shot": sizes_K < FEW,
    }
    return {name: round(float(recall_K[chosen_K].mean()), 4) for name, chosen_K in groups.items()}


def run_one(work: Path, seed: int, method: str) -> dict[str, Any]:
    run = work / "runs" / f"long-tail-{seed}-{method.replace(' ', '-').replace(',', '')}"
    settings = [*COMMON, f"training.seed={seed}", *METHODS[method]]
    seconds = processor_seconds(
        "train", write_table(unpack("cifar10", work), seed), "--run", run, *with_settings(*settings)
    )
    return {
        "seed": seed,
        "method": method,
        **recalls(run),
        "val_balanced_accuracy": metrics(run, "val")["balanced_accuracy"]["value"],
        "epochs": EPOCHS,
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    work = Path(sys.argv[1])
    jobs = [(seed, method) for seed in SEEDS for method in METHODS]
    notes = f"Many: more than {MANY} pictures; few: fewer than {FEW}."
    command = "python benchmarks/long_tail.py WORK_FOLDER"
    run_wanted("long_tail", jobs, lambda *job: run_one(work, *job), command=command, notes=notes)


if __name__ == "__main__":
    main()
