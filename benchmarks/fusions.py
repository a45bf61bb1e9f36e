"""Fusions of views: what they can learn, what a missing view costs, and how many exchanged views are found.

    python benchmarks/fusions.py WORK_FOLDER [PART...]

`xor FUSION`: the label says whether two views differ; 4,000 pictures of 16 pixels (2,000 pairs), and 1,000 new pairs
to test on. `coins SEED FUSION`: generated coins, both sides; accuracy of the fused model when it sees one side alone,
against a model that was trained on that side alone (`obverse`, `reverse`). `swapped SEED`: one coin in twenty has its
sides exchanged; how many of them `obverse check` names, and how many others. Parts are `xor`, `coins`, `swapped`; the
seeds and fusions were fixed before the measurement.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import metrics, obverse, processor_seconds, run_wanted, with_settings
from PIL import Image

SEEDS = (3, 4, 5)
NUM_COINS = 1500
EXCHANGED = 20
WIDTH = "width: 64"
XOR = {
    "one-view": ("{kind: concat}", "[32]"),
    "concat-linear": ("{kind: concat}", "[]"),
    "mean-linear": ("{kind: mean}", "[]"),
    "concat-hidden": ("{kind: concat}", "[32]"),
    "mean-hidden": ("{kind: mean}", "[32]"),
    "max": ("{kind: max}", "[]"),
    "attention": (f"{{kind: attention, {WIDTH}}}", "[]"),
    "gated": (f"{{kind: gated, {WIDTH}}}", "[]"),
    "multiplicative": (f"{{kind: multiplicative, {WIDTH}}}", "[]"),
    "cross-view": (f"{{kind: cross-view, {WIDTH}}}", "[]"),
}
COINS = {
    "obverse": ["data.views=[obverse]"],
    "reverse": ["data.views=[reverse]"],
    "concat": ["model.fusion.kind=concat"],
    "gated": ["model.fusion.kind=gated"],
    "gated-ordered": ["model.fusion={kind: gated, view_embedding: true}"],
    "concat-hidden": ["model.head.hidden=[64]"],
    "attention": ["model.fusion.kind=attention"],
    "max": ["model.fusion.kind=max"],
    "multiplicative": ["model.fusion.kind=multiplicative"],
    "cross-view": ["model.fusion.kind=cross-view"],
    "gated-graded": ["model.fusion.kind=gated", "model.view_heads={weight: 0.3}"],
}


def run_xor(work: Path, name: str) -> dict[str, Any]:
    fusion, hidden = XOR[name]
    settings = with_settings(
        "data.size={height: 16, width: 16}",
        *("data.views=[first]",) * (name == "one-view"),
        "augment.policy=none",
        "model.backbone={kind: convnet, widths: [16, 32]}",
        f"model.fusion={fusion}",
        f"model.head.hidden={hidden}",
        *("training.epochs=10", "training.batch_size=64", "runtime.num_threads=1"),
    )
    run = work / "runs" / f"xor-{name}"
    seconds = processor_seconds("train", xor_table(work / "xor"), "--run", run, *settings)
    return {"test_accuracy": metrics(run)["accuracy"], "processor_seconds": round(seconds, 1)}


def xor_table(folder: Path) -> Path:
    """Pictures of stripes across or down, in noise; 2,000 pairs to train and choose on, 1,000 to test."""
    table = folder / "xor.csv"
    if table.is_file():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for n in range(3000):
        sides = rng.integers(0, 2, 2)
        split = "test" if n >= 2000 else "val" if n >= 1800 else "train"
        names = [f"{n:04}-{view}.png" for view in ("first", "second")]
        for name, is_down in zip(names, sides.tolist(), strict=True):
            wave = np.sin(math.pi / 2 * np.arange(16) + rng.uniform(0, math.tau))
            stripes = np.broadcast_to(wave if is_down else wave[:, None], (16, 16))
            noisy = 128 + 50 * stripes[..., None] + rng.normal(0, 25, (16, 16, 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
        rows.append(("different" if sides[0] != sides[1] else "same", split, *names))
    # The table is what says that the pictures are there.
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("label", "split", "first", "second"), *rows])
    return table


def coins(work: Path, seed: int) -> Path:
    data = work / f"coins-{seed}"
    if not data.exists():
        obverse("sample", "coins", data, "--samples", NUM_COINS, "--seed", seed)
    return data


def run_coins(work: Path, seed: int, name: str) -> dict[str, Any]:
    run = work / "runs" / f"fusion-{seed}-{name}"
    settings = with_settings(f"training.seed={seed}", "runtime.num_threads=1", *COINS[name])
    seconds = processor_seconds("train", coins(work, seed), "--run", run, *settings)
    test = metrics(run)
    row = {"test_accuracy": test["accuracy"], "mae": test["ordinal"]["mean_absolute_error"]}
    views = test["views"]
    if views is not None:
        row["alone"] = {view: alone["accuracy"] for view, alone in views["alone"].items()}
        row["graded"] = {view: graded["accuracy"] for view, graded in views["graded"].items()}
        row["disagreement"] = views["disagreement"]
    return row | {"num_test": test["num_samples"], "processor_seconds": round(seconds, 1)}


def run_swapped(work: Path, seed: int) -> dict[str, Any]:
    """A table of the coins in which every EXCHANGED-th names the sides the wrong way round."""
    table, found = coins(work, seed) / "exchanged.csv", work / f"exchanged-{seed}"
    rows, exchanged = [], set()
    obverses = sorted(table.parent.glob("*/obverse/*.jpg"))
    chosen = set(np.random.default_rng(seed).permutation(len(obverses))[: len(obverses) // EXCHANGED].tolist())
    for number, path in enumerate(obverses):
        label = path.parts[-3]
        sides = [f"{label}/{view}/{path.name}" for view in ("obverse", "reverse")]
        rows.append((f"{label}/{path.stem}", label, *(sides[::-1] if number in chosen else sides)))
        if number in chosen:
            exchanged.update(sides)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "label", "obverse", "reverse"), *rows])
    try:
        obverse("check", table, "--out", found)
    finally:
        table.unlink()
    findings = json.loads((found / "check.json").read_text())["findings"]
    named = [set(finding["paths"]) for finding in findings if finding["code"] == "swapped-views"]
    right = sum(1 for paths in named if paths <= exchanged)
    return {"num_coins": len(rows), "num_exchanged": len(chosen), "num_found": right, "num_wrong": len(named) - right}


PARTS = {"xor": run_xor, "coins": run_coins, "swapped": run_swapped}


def main() -> None:
    work, parts = Path(sys.argv[1]), sys.argv[2:] or list(PARTS)
    # The two runs that go at once are of different seeds, because the first one of a seed draws the coins.
    jobs: list[tuple[Any, ...]] = [("xor", name) for name in XOR]
    jobs += [("swapped", seed) for seed in SEEDS]
    jobs += [("coins", seed, name) for name in COINS for seed in SEEDS]
    xor_table(work / "xor")

    def run_one(part: str, *rest: Any) -> dict[str, Any]:
        return {"part": part, "what": "-".join(map(str, rest)), **PARTS[part](work, *rest)}

    command = "python benchmarks/fusions.py WORK_FOLDER"
    run_wanted("fusions", jobs, run_one, command=command, only=lambda job: job[0] in parts)


if __name__ == "__main__":
    main()
