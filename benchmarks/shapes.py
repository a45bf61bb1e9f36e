"""Generated shapes, 5 epochs, batch 16; train, val and top-3 accuracy, and minutes.

python benchmarks/shapes.py WORK_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import metrics, obverse, save


def main() -> None:
    work = Path(sys.argv[1])
    data, run = work / "shapes", work / "runs" / "shapes"
    obverse("sample", "shapes", data)
    seconds = obverse("train", data, "--run", run, "--set", "training.epochs=5", "--set", "training.batch_size=16")
    obverse("evaluate", run, "--split", "train")
    row = {split: metrics(run, split)["accuracy"] for split in ("train", "val", "test")}
    row |= {f"{split}_top_3": metrics(run, split)["top_k"]["3"] for split in ("val", "test")}
    save("shapes", [row | {"minutes": round(seconds / 60, 2)}], command="python benchmarks/shapes.py WORK_FOLDER")


if __name__ == "__main__":
    main()
