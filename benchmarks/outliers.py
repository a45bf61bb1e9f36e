"""The outlier score on pictures that do not belong: AUROC beside the maximum softmax, and what is rejected.

Small runs of MobileNetV2 at 64 pixels with a frozen backbone, on up to 60 pictures a class; up to 150 foreign pictures.
    OBVERSE_REAL_DATA=... python benchmarks/outliers.py WORK_FOLDER [PAIR...]
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from common import finished, metrics, obverse, save, with_settings
from real_sets import unpack

PER_CLASS, NUM_FOREIGN = 60, 150
# Own set, foreign set.
PAIRS = {
    "coins-rubbish": ("euro_coins", "trashnet"),
    "rubbish-coins": ("trashnet", "euro_coins"),
    "tomatoes-characters": ("tomato_freshness", "omniglot_small"),
    "cifar-coins": ("cifar10", "euro_coins"),
}
SETTINGS = [
    "finetune.train=head", "finetune.head_first={}", "training.epochs=1", "evaluation.maps=0", "runtime.num_threads=1",
]  # fmt: skip


def pictures_of(name: str, work: Path) -> dict[str, list[Path]]:
    """Class -> its pictures, in a random order that is always the same."""
    by_class: dict[str, list[Path]] = {}
    for path in sorted(unpack(name, work).rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            by_class.setdefault(path.parent.name, []).append(path)
    for label, pictures in by_class.items():
        random.Random(name + label).shuffle(pictures)
    return by_class


def small_set(name: str, work: Path) -> Path:
    """The set with few pictures a class, made once."""
    folder = work / "small" / name
    if not folder.exists():
        for label, pictures in pictures_of(name, work).items():
            (folder / label).mkdir(parents=True)
            for number, path in enumerate(pictures[:PER_CLASS]):
                shutil.copyfile(path, folder / label / f"{number}{path.suffix.lower()}")
    return folder


def foreign_set(name: str, work: Path) -> Path:
    """Pictures of the set without labels, made once."""
    folder = work / "foreign" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        every = [path for pictures in pictures_of(name, work).values() for path in pictures]
        random.Random(name).shuffle(every)
        for number, path in enumerate(every[:NUM_FOREIGN]):
            shutil.copyfile(path, folder / f"{number}{path.suffix.lower()}")
    return folder


def run_pair(pair: str, work: Path) -> dict[str, Any]:
    own, foreign = PAIRS[pair]
    run, out = work / "runs" / own, work / "measured" / pair
    weights = Path(os.environ["OBVERSE_REAL_DATA"]) / "mobilenetv2_100_imagenet1k.safetensors"
    if not (run / "evaluation" / "test" / "metrics.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        data = small_set(own, work)
        obverse("train", data, "--run", run, "--size", 64, "--weights", weights, *with_settings(*SETTINGS))
    shutil.rmtree(out, ignore_errors=True)
    obverse("evaluate", run, "--foreign", foreign_set(foreign, work), "--out", out)
    test, values = metrics(run), json.loads((out / "foreign.json").read_text())
    return {
        "pair": pair,
        "accuracy": test["accuracy"],
        "num_val": test["outliers"]["num_samples"],
        "wanted_error": test["acceptance"]["wanted_error"],
        "accepted": test["acceptance"]["accepted"],
        "accepted_error": test["acceptance"]["decisions"]["accept"]["error"],
        **{key: values[key] for key in ("num_own", "num_foreign", "auroc", "rejected_own", "rejected_foreign")},
    }


def main() -> None:
    work = Path(sys.argv[1])
    rows = finished("outliers", "pair")
    for pair in sys.argv[2:] or PAIRS:
        if pair not in {row["pair"] for row in rows}:
            rows.append(run_pair(pair, work))
            save("outliers", rows, command="python benchmarks/outliers.py WORK_FOLDER")


if __name__ == "__main__":
    main()
