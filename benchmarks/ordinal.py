"""Tomato freshness, ten grades in order: ordinal losses beside cross entropy.

Everything but the loss is as `obverse train` chooses it. A run is EPOCHS long, about three minutes on two idle cores
(at 220 pictures/s), so that results do not depend on what else the machine does. The best epoch is chosen on val by
mean absolute error; val also says what each way to decode would give, test is looked at once, by the run's own. Seed
by seed, so that a partial table compares all losses on the same seeds.
    OBVERSE_REAL_DATA=... python benchmarks/ordinal.py WORK_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
from common import metrics, processor_seconds, run_wanted, with_settings
from real_sets import ORDER, unpack

from obverse.decisions import OneClass, to_answers
from obverse.evaluation import Predictions
from obverse.registry import Decode

SEEDS = (0, 1, 2)
# 660 training pictures.
EPOCHS = 60
LOSSES = ("cross-entropy", "sord", "corn", "coral")
COMMON = [
    ORDER,
    f"training.epochs={EPOCHS}",
    "runtime.num_threads=1",
    "runtime.precision=fp32",
    "runtime.matmul=highest",
    "runtime.channels_last=true",
]


def val_errors(run: Path) -> dict[str, float]:
    """Mean absolute error on val by mode, median and mean."""
    predictions = Predictions.read(run / "evaluation" / "val")
    errors = {
        decode: np.abs(to_answers(predictions.probabilities_NK, OneClass(decode)) - predictions.truth).mean()
        for decode in get_args(Decode)
    }
    return {decode: round(float(error), 4) for decode, error in errors.items()}


def run_one(work: Path, seed: int, loss: str) -> dict[str, Any]:
    run = work / "runs" / f"ordinal-{seed}-{loss}"
    settings = [*COMMON, f"training.seed={seed}", f"loss.kind={loss}"]
    seconds = processor_seconds("train", unpack("tomato_freshness", work), "--run", run, *with_settings(*settings))
    test = metrics(run)
    return {
        "seed": seed,
        "loss": loss,
        **test["ordinal"],
        "accuracy": test["accuracy"],
        "num_test": test["num_samples"],
        "val_mean_absolute_error_by_decode": val_errors(run),
        "epochs": EPOCHS,
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    work = Path(sys.argv[1])
    jobs = [(seed, loss) for seed in SEEDS for loss in LOSSES]
    command = "python benchmarks/ordinal.py WORK_FOLDER"
    run_wanted("ordinal", jobs, lambda *job: run_one(work, *job), command=command)


if __name__ == "__main__":
    main()
