"""CIFAR-10 from scratch: what the defaults reach in 600 processor seconds, and CCT-2/3x2 along 30 minutes.

`convnet`: `obverse train` with one thread and a time budget, over three seeds, two at once; the whole command, reading
and reports included, must stay below 600 seconds of processor time. `cct`: the recipe `cifar10-cct` on two cores; its
curve is the accuracy on val at every epoch, test is looked at once. Both follow the clock: nothing else may run.
`one-sided`: the convnet's finished models once more, answering for the picture alone instead of for it and its mirror
image.
    OBVERSE_REAL_DATA=... python benchmarks/from_scratch.py WORK_FOLDER [convnet|cct|one-sided]
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import metrics, obverse, processor_seconds, run_wanted, with_settings
from real_sets import unpack

SEEDS = (0, 1, 2)
BUDGET_SECONDS = 600
# What remains of the budget is for reading 60,000 pictures and for the reports.
MINUTES = 8.8


def convnet(work: Path, seed: int) -> dict[str, Any]:
    run = _convnet_run(work, seed)
    settings = with_settings("runtime.num_threads=1", f"training.seed={seed}")
    seconds = processor_seconds("train", unpack("cifar10", work), "--run", run, "--minutes", MINUTES, *settings)
    if seconds > BUDGET_SECONDS:
        raise RuntimeError(f"{seconds:.0f} processor seconds, and {BUDGET_SECONDS} are allowed; lower MINUTES")
    return _told(run) | {"processor_seconds": round(seconds, 1)}


def one_sided(work: Path, seed: int) -> dict[str, Any]:
    bundle, out = work / "one-sided" / f"{seed}-bundle", work / "one-sided" / f"{seed}-evaluation"
    shutil.copytree(_convnet_run(work, seed) / "bundle", bundle, dirs_exist_ok=True)
    record = json.loads((bundle / "model.json").read_text())
    record["model"]["backbone"]["mirrored"] = False
    (bundle / "model.json").write_text(json.dumps(record))
    obverse("evaluate", bundle, "--data", unpack("cifar10", work) / "test", "--out", out)
    return {"test_accuracy": json.loads((out / "metrics.json").read_text())["accuracy"]}


def _convnet_run(work: Path, seed: int) -> Path:
    return work / "runs" / f"from-scratch-{seed}"


def cct(work: Path) -> dict[str, Any]:
    run = work / "runs" / "from-scratch-cct"
    seconds = processor_seconds("train", unpack("cifar10", work), "--recipe", "cifar10-cct", "--run", run)
    return _told(run) | {"processor_seconds": round(seconds, 1)}


def _told(run: Path) -> dict[str, Any]:
    epochs = json.loads((run / "training_log.json").read_text())["epochs"]
    return {
        "test_accuracy": metrics(run)["accuracy"],
        "val_accuracy": metrics(run, "val")["accuracy"]["value"],
        "epochs": len(epochs),
        "curve": [[round(row["seconds"] / 60, 2), round(row["val_accuracy"], 4)] for row in epochs],
    }


OF_SEEDS = [(seed,) for seed in SEEDS]
PARTS: dict[str, tuple[Callable[..., dict[str, Any]], list[tuple[int, ...]]]] = {
    "convnet": (convnet, OF_SEEDS),
    "cct": (cct, [()]),
    "one-sided": (one_sided, OF_SEEDS),
}


def main() -> None:
    work, wanted = Path(sys.argv[1]), sys.argv[2:] or list(PARTS)
    jobs: list[tuple[Any, ...]] = [(part, *seed) for part, (_, seeds) in PARTS.items() for seed in seeds]

    def run_one(part: str, *seed: int) -> dict[str, Any]:
        return {"what": " ".join(map(str, (part, *seed))), **PARTS[part][0](work, *seed)}

    unpack("cifar10", work)
    for part in wanted:
        run_wanted(
            "from_scratch",
            jobs,
            run_one,
            command="python benchmarks/from_scratch.py WORK_FOLDER",
            notes="A curve's points are minutes of training and accuracy on val.",
            only=lambda job, part=part: job[0] == part,
            by_hardware=True,
        )


if __name__ == "__main__":
    main()
