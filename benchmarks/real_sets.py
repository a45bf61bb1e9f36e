"""`obverse train` on four public picture sets, with a budget of ten minutes on two cores each.

Choices are made on val; test is looked at once, by the run itself.
    OBVERSE_REAL_DATA=... python benchmarks/real_sets.py WORK_FOLDER [SET...]
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from common import finished, metrics, obverse, save

# The whole command must stay below ten minutes: reading, verification, training and evaluation.
MINUTES = {"cifar10": 9.0}
OTHER_MINUTES = 5.0
ORDER = "data.order=[" + ", ".join(f'"{grade}"' for grade in range(10)) + "]"
SETS: dict[str, list[str]] = {
    "euro_coins": [],
    "trashnet": [],
    "tomato_freshness": ["--set", ORDER],
    "cifar10": [],
}


def unpack(name: str, work: Path) -> Path:
    """The folder of a set; CIFAR-10's two archives become its train and test folders."""
    source, target = Path(os.environ["OBVERSE_REAL_DATA"]), work / name
    if target.exists():
        return target
    if name != "cifar10":
        with zipfile.ZipFile(source / f"{name}.zip") as archive:
            archive.extractall(work)
        return target
    for split in ("train", "test"):
        with zipfile.ZipFile(source / f"cifar10_{split}.zip") as archive:
            archive.extractall(target)
        (target / f"cifar10_{split}").rename(target / split)
    return target


def run_set(name: str, work: Path) -> dict[str, Any]:
    """Train once and read the report."""
    run, minutes = work / "runs" / name, MINUTES.get(name, OTHER_MINUTES)
    seconds = obverse("train", unpack(name, work), "--run", run, "--minutes", minutes, *SETS[name])
    val, test = metrics(run, "val"), metrics(run)
    return {
        "set": name,
        "training_minutes": minutes,
        "seconds": round(seconds, 1),
        "num_test": test["num_samples"],
        "val_accuracy": val["accuracy"]["value"],
        "test_accuracy": test["accuracy"],
        "test_macro_f1": test["macro_f1"],
        "test_ordinal": test["ordinal"],
    }


def main() -> None:
    work = Path(sys.argv[1])
    rows = finished("real_sets", "set")
    for name in sys.argv[2:] or SETS:
        if name not in {row["set"] for row in rows}:
            rows.append(run_set(name, work))
            save("real_sets", rows, command="python benchmarks/real_sets.py WORK_FOLDER")


if __name__ == "__main__":
    main()
