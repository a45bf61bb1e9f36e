"""The study of document D (examples/long_tail_scratch) on two small sets, with models for a CPU: mixing, label
smoothing and subsets of classes, at a few minutes a run.

Long-tailed CIFAR-10 (5,000 to 50 pictures per class, as in long_tail.py) and Omniglot's small background set, whose
classes are characters of five alphabets. Every run is a run folder with the document's result set, and summary.md of
each study has the paired comparison. Two processes share a study, a thread each, so nothing else may run. Stopped or
killed: the same command goes on; a partial table says so.
    OBVERSE_REAL_DATA=... python benchmarks/long_tail_study.py WORK_FOLDER [--minutes 3] [--seeds 1] [SET...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from common import OBVERSE, save
from long_tail import write_table
from real_sets import unpack

BUSY, CRITERIA_MISSED = 75, 76
# Subsets stand in for the document's 100 and 30 of 500 classes.
SUBSETS = {"cifar10_long_tail": (5, 3), "omniglot_small": (100, 30)}
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1")


def data_of(name: str, work: Path) -> Path:
    """The pictures of a set."""
    if name == "cifar10_long_tail":
        return write_table(unpack("cifar10", work), 0)
    return unpack(name, work)


def study_of(name: str, minutes: float, seeds: int) -> dict[str, Any]:
    """The sweep file's content: everything but what the document varies is as `obverse train` chooses it."""
    many, few = SUBSETS[name]
    return {
        "recipe": "auto",
        "settings": {
            "training.minutes": minutes,
            "runtime.num_threads": 1,
            "training.select": "macro_f1",
            "loss.kind": "cross-entropy",
            "loss.label_smoothing": 0.1,
            "evaluation.maps": 8,
        },
        "variants": {
            "baseline": {},
            "mixing": {"mixing.mixup": 0.8, "mixing.cutmix": 1.0},
            "smoothing-0": {"loss.label_smoothing": 0},
            "smoothing-0.2": {"loss.label_smoothing": 0.2},
            f"top-{many}": {"data.largest_classes": many},
            f"top-{few}": {"data.largest_classes": few},
        },
        "seeds": list(range(seeds)),
        "criteria": [
            {"name": "no divergence", "finished": True},
            {"name": "above 5 % on all classes", "runs": "baseline", "metric": "accuracy", "above": 0.05},
            {"name": "above 15 % on few classes", "runs": f"top-{few}", "metric": "accuracy", "above": 0.15},
        ],
    }


def run_study(name: str, work: Path, minutes: float, seeds: int) -> Path:
    """Run or go on with the sweep; its folder."""
    file, out = work / f"{name}.yaml", work / "studies" / name
    file.write_text(yaml.safe_dump(study_of(name, minutes, seeds), sort_keys=False))
    command = [*OBVERSE, "sweep", str(file), str(data_of(name, work)), "--out", str(out)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    for process in processes:
        if process.wait() not in (0, BUSY, CRITERIA_MISSED):
            raise SystemExit(process.returncode)
    # The table is whole when the last of them wrote it; once more, should they have ended in the same moment.
    if subprocess.run(command, check=False).returncode not in (0, CRITERIA_MISSED):
        raise SystemExit("the study is not finished")
    for run in out.glob("runs/*/seed-*"):
        if not (run / "bundle" / "best_model.pth").exists():
            subprocess.run([*OBVERSE, "export", str(run), "--format", "pth"], check=True)
    return out


def rows_of(name: str, out: Path) -> list[dict[str, Any]]:
    """One row per condition: numbers with intervals, and the paired difference from the baseline."""
    study = json.loads((out / "sweep.json").read_text())
    rows = []
    for row in study["comparison"]["rows"]:
        values = {metric: row["values"].get(metric) for metric in COMPARED}
        rows.append(
            {
                "set": name,
                "condition": row["name"],
                "runs": row["num_runs"],
                **values,
                "differences": {metric: row["differences"].get(metric) for metric in COMPARED},
                "p_adjusted": row["adjusted"],
                "note": row["note"],
            }
        )
    return [*rows, {"set": name, "state": study["state"], "criteria": study["criteria"]}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SUBSETS))
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(arguments.sets):
        rows += rows_of(name, run_study(name, arguments.work, arguments.minutes, arguments.seeds))
        notes = f"{number + 1} of {len(arguments.sets)} studies, {arguments.minutes:g} minutes a run, one thread each"
        command = f"python benchmarks/long_tail_study.py WORK_FOLDER --minutes {arguments.minutes:g}"
        save("long_tail_study", rows, command=f"{command} --seeds {arguments.seeds}", notes=notes)


if __name__ == "__main__":
    main()
