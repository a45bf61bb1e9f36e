"""The recipe `long-tail-lora` beside its loss and its low-rank updates one by one, on a natural long tail.

euro_coins: 8 classes, 15 to 410 pictures in train; its test is looked at once by each run. The ViT is the small one of
small_vit.py at 64 pixels, so that a run takes a minute: it says how the ways compare, not how good ViT-B would be.
    OBVERSE_REAL_DATA=... python benchmarks/long_tail_lora.py WORK_FOLDER
The weights are expected in WORK_FOLDER/vit_tiny.safetensors.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from common import metrics, processor_seconds, run_wanted, with_settings
from few_pairs import NAMES
from real_sets import unpack

SEEDS, SIZE = (0, 1, 2), 64
ALL_WEIGHTS = ("finetune.lora=null", "optim.lr=3.5e-4")
WAYS: dict[str, list[str]] = {
    "recipe": [],
    "cross entropy": ["loss={kind: cross-entropy, label_smoothing: 0.1}"],
    "all weights": [*ALL_WEIGHTS],
    "all weights, cross entropy": [*ALL_WEIGHTS, "loss={kind: cross-entropy, label_smoothing: 0.1}"],
}
VALUES = ("accuracy", "balanced_accuracy", "macro_f1")


def run_one(work: Path, seed: int, way: str) -> dict[str, Any]:
    run = work / "runs" / f"long-tail-lora-{seed}-{way.replace(' ', '-').replace(',', '')}"
    shutil.rmtree(run, ignore_errors=True)  # of an interrupted benchmark
    settings = [
        f"training.seed={seed}",
        f"model.backbone.name={NAMES['vit']}",
        f"model.backbone.pretrained={work / 'vit_tiny.safetensors'}",
        f"data.size={SIZE}",
        "runtime.num_threads=1",
        *WAYS[way],
    ]
    seconds = processor_seconds(
        "train", unpack("euro_coins", work), "--recipe", "long-tail-lora", "--run", run, *with_settings(*settings)
    )
    test = metrics(run)
    return {"seed": seed, "way": way, **{name: test[name]["value"] for name in VALUES},
            "processor_seconds": round(seconds, 1)}  # fmt: skip


def main() -> None:
    work = Path(sys.argv[1])
    jobs = [(seed, way) for seed in SEEDS for way in WAYS]
    command = "python benchmarks/long_tail_lora.py WORK_FOLDER"
    run_wanted("long_tail_lora", jobs, lambda *job: run_one(work, *job), command=command)


if __name__ == "__main__":
    main()
