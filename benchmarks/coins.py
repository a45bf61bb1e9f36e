"""Generated two-view coins: both views, and one view alone against the bound of the generator's rule; three seeds each.

The label is the worse of two sides; one side, chosen by a coin flip, shows it, and the other shows a strictly better
grade (the top grade shows itself on both sides). So the best that one side can do is known exactly.
    python benchmarks/coins.py WORK_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import metrics, obverse, processor_seconds, run_wanted, with_settings

from obverse.manifest.generated import GRADES, best_single_view_accuracy

# Fixed before the measurement; seeds 0 to 2 were seen while the defaults were made (results/coins_600.json).
SEEDS = (3, 4, 5)
NUM_COINS = 1500
# 1,050 training coins left one view alone short of its bound; other seeds, decided before they were looked at, say
# whether that is for want of coins.
MORE_SEEDS, MORE_COINS = (6, 7, 8), 3000
VIEWS = {"both": "auto", "obverse": "[obverse]"}


def run_one(work: Path, seed: int, views: str, num_coins: int = NUM_COINS) -> dict[str, Any]:
    data, run = work / f"coins-{seed}", work / "runs" / f"coins-{seed}-{views}"
    if not data.exists():
        obverse("sample", "coins", data, "--samples", num_coins, "--seed", seed)
    settings = [f"training.seed={seed}", f"data.views={VIEWS[views]}", "runtime.num_threads=1"]
    seconds = processor_seconds("train", data, "--run", run, *with_settings(*settings))
    test = metrics(run)
    return {
        "seed": seed,
        "views": views,
        "num_coins": num_coins,
        "test_accuracy": test["accuracy"],
        "mae": test["ordinal"]["mean_absolute_error"],
        "num_test": test["num_samples"],
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    work = Path(sys.argv[1])
    notes = f"Best accuracy of any single view by the rule: {best_single_view_accuracy(len(GRADES)):.4f}"
    # A data set is made by the first of its runs, so the two that go at once are of different seeds.
    jobs = [(seed, views) for views in VIEWS for seed in SEEDS]
    jobs += [(seed, "obverse", MORE_COINS) for seed in MORE_SEEDS]
    run_wanted(
        "coins", jobs, lambda *job: run_one(work, *job), command="python benchmarks/coins.py WORK_FOLDER", notes=notes
    )


if __name__ == "__main__":
    main()
