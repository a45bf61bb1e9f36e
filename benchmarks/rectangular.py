"""Document B's comparison, measured: its own network, ResNet-50 and what Obverse chooses, on 2:1 frames of two sides.

Generated coins, both sides beside each other in one picture, as document B photographs them. Every network gets the
same frames and the same minutes, so "data needed" is read from the two sizes of the set, and "time" from the pictures
that it saw. `square` squashes the same frame into about as many pixels: a ResNet does not need that, the row says what
it costs. The fine-tuned network is the local MobileNetV2, because no weights of a ResNet-50 are at hand.
Two runs go at once, a thread each; the time is part of the result, so nothing else may run.
    OBVERSE_REAL_DATA=... python benchmarks/rectangular.py WORK_FOLDER [--height 64] [--minutes 3]
On a GPU: --height 256, the document's size.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from common import metrics, obverse, processor_seconds, run_wanted, with_settings
from PIL import Image
from rivals import beside

SIZES = (200, 800)
NUM_TEST = 500
COINS_SEED = 11
LOCAL = "kind: timm, name: mobilenetv2_100, options: {pad_type: same}, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]"
RESNET = ["model.backbone={kind: timm, name: resnet50, pretrained: none}", "optim.lr=1e-3"]
NETWORKS: dict[str, tuple[str, list[str]]] = {
    "vgg of the document": ("coins-rectangular", []),
    "vgg, batch norm, pooled": (
        "coins-rectangular",
        ["model.backbone.norm=batch", "model.backbone.pool=mean", "model.head.hidden=[]"],
    ),
    "resnet50 from scratch": ("coins-resnet50", RESNET),
    "resnet50 from scratch, square": ("coins-resnet50", [*RESNET, "data.fit=squash"]),
    "mobilenetv2 fine-tuned": ("coins-resnet50", []),
    "chosen by obverse train": ("auto", []),
}


def frames(work: Path, num_train: int) -> Path:
    """A manifest of `num_train` coins, a fifth of them val, and of NUM_TEST others."""
    root, table = work / "rectangular", work / f"rectangular-{num_train}.csv"
    coins = work / "rectangular-coins"
    if not coins.exists():
        obverse("sample", "coins", coins, "--samples", max(SIZES) + NUM_TEST, "--seed", COINS_SEED)
    if table.exists():
        return table
    rows = []
    grades = sorted(folder for folder in coins.iterdir() if folder.is_dir())
    for folder in grades:
        sides = sorted(folder.glob("obverse/*.jpg"))
        for number, path in enumerate(sides[: (NUM_TEST + num_train) // len(grades)]):
            frame = root / folder.name / f"{path.stem}.png"
            if not frame.exists():
                frame.parent.mkdir(parents=True, exist_ok=True)
                beside([Image.open(path), Image.open(folder / "reverse" / path.name)]).save(frame)
            split = "test" if number < NUM_TEST // len(grades) else "val" if number % 5 == 0 else "train"
            rows.append(f"{folder.name},{split},{frame.relative_to(work)}\n")
    table.write_text("label,split,image\n" + "".join(rows))
    return table


def settings_of(name: str, height: int) -> list[str]:
    width = 2 * height
    if name.endswith("square"):
        height = width = round(height * 2**0.5)
    settings = [*NETWORKS[name][1], f"data.size={{height: {height}, width: {width}}}"]
    if name == "mobilenetv2 fine-tuned":
        weights = Path(os.environ["OBVERSE_REAL_DATA"]) / "mobilenetv2_100_imagenet1k.safetensors"
        settings.append(f"model.backbone={{{LOCAL}, pretrained: '{weights}'}}")
    return settings


def run_one(work: Path, name: str, num_train: int, height: int, minutes: float) -> dict[str, Any]:
    run = work / "runs" / f"rectangular-{height}-{num_train}-{name.replace(' ', '-').replace(',', '')}"
    settings = with_settings("runtime.num_threads=1", *settings_of(name, height))
    seconds = processor_seconds(
        "train", frames(work, num_train), "--recipe", NETWORKS[name][0], "--run", run, "--minutes", minutes, *settings
    )
    log, test = json.loads((run / "training_log.json").read_text()), metrics(run)
    return {
        "input": log["facts"]["input"],
        "parameters": int(log["facts"]["parameters"].split()[0].replace(",", "")),
        "pictures_per_second": round(log["epochs"][-1]["pictures_per_second"], 1),
        "epochs": len(log["epochs"]),
        "test_accuracy": test["accuracy"],
        "test_macro_f1": test["macro_f1"],
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    jobs = [(options.height, num_train, name) for num_train in SIZES for name in NETWORKS]
    for num_train in SIZES:
        frames(options.work, num_train)

    def run(height: int, num_train: int, name: str) -> dict[str, Any]:
        found = run_one(options.work, name, num_train, height, options.minutes)
        return {"network": name, "num_train_and_val": num_train, "minutes": options.minutes, **found}

    run_wanted("rectangular", jobs, run, command="python benchmarks/rectangular.py WORK_FOLDER")


if __name__ == "__main__":
    main()
