"""The local MobileNetV2 weights on trashnet: are they read right, and what do they give over training from scratch?

1. ImageNet's own classes, top 1, for 20 pictures taken by file name before looking: the first 7 of glass (bottles), 7
   of metal (cans) and 6 of cardboard (boxes). Which labels count as plausible was written down before looking, too.
2. `obverse train` from scratch as it chooses, with the backbone frozen and only the head learned, with everything
   fine-tuned as it chooses, and fine-tuned without fitting the head first; in the same time, over three splits, two
   runs at once and a thread each, so that nothing else may run.
    OBVERSE_REAL_DATA=... python benchmarks/transfer.py WORK_FOLDER
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import timm
import torch
from common import finished, metrics, processor_seconds, save, with_settings
from real_sets import unpack
from safetensors.torch import load_file

from obverse.data import Geometry
from obverse.imaging import decode_picture

SEEDS = (0, 1, 2)
MINUTES = 3.0
WAYS: dict[str, list[str]] = {
    "from scratch": [],
    "frozen features": ["finetune.train=head"],
    "fine-tuned": [],
    "fine-tuned, head not first": ["finetune.head_first=null"],
}
PLAUSIBLE = {
    "glass": ("bottle", "beer glass", "goblet", "jug", "vase", "red wine", "perfume", "beaker"),
    "metal": ("can opener", "milk can", "bottle", "cocktail shaker", "bucket", "cup", "mug", "lighter", "spray"),
    "cardboard": ("carton", "crate", "packet", "envelope", "box", "binder", "paper towel", "tissue", "book jacket"),
}
NUM_PICTURES = {"glass": 7, "metal": 7, "cardboard": 6}


def look(data: Path, trashnet: Path) -> list[dict[str, Any]]:
    """The 1000-class model's answer to each of the 20 pictures."""
    model = timm.create_model("mobilenetv2_100", pad_type="same").eval()
    model.load_state_dict(load_file(data / "mobilenetv2_100_imagenet1k.safetensors"))
    names = (data / "imagenet1k_labels.txt").read_text().splitlines()[1:]  # the first row is a background class
    rows = []
    for label, count in NUM_PICTURES.items():
        for path in sorted((trashnet / label).glob("*.jpg"))[:count]:
            image_CHW = Geometry(224, 224, 224, 224, fit="crop").apply(decode_picture(path.read_bytes()))
            with torch.no_grad():
                logits_K = model((image_CHW[None].float() / 255 - 0.5) / 0.5)[0]
            name = names[int(logits_K.argmax())]
            plausible = any(word in name for word in PLAUSIBLE[label])
            rows.append({"key": f"look-{path.stem}", "top_1": name, "is_plausible": plausible})
    return rows


def train(data: Path, work: Path, seed: int, way: str) -> dict[str, Any]:
    run = work / "runs" / f"transfer-{seed}-{way.replace(' ', '-').replace(',', '')}"
    weights = data / "mobilenetv2_100_imagenet1k.safetensors"
    backbone = f"{{kind: timm, name: mobilenetv2_100, pretrained: '{weights}', options: {{pad_type: same}}, "
    backbone += "mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}"
    settings = [f"training.seed={seed}", f"data.split={{train: 0.6, val: 0.1, test: 0.3, seed: {seed}}}"]
    settings += ["runtime.num_threads=1", *WAYS[way]]
    if way != "from scratch":
        settings += [f"model.backbone={backbone}", "data.size={height: 224, width: 224}"]
    seconds = processor_seconds(
        "train", unpack("trashnet", work), "--run", run, "--minutes", MINUTES, *with_settings(*settings)
    )
    test = metrics(run)
    return {
        "key": f"{seed}-{way}",
        "seed": seed,
        "way": way,
        "test_accuracy": test["accuracy"],
        "num_test": test["num_samples"],
        "minutes": MINUTES,
        "processor_seconds": round(seconds, 1),
    }


def main() -> None:
    data, work = Path(os.environ["OBVERSE_REAL_DATA"]), Path(sys.argv[1])
    rows = [row for row in finished("transfer", "key") if not row["key"].startswith("look")]
    rows = [*look(data, unpack("trashnet", work)), *rows]
    done = {row["key"] for row in rows}
    for seed in SEEDS:
        ways = [way for way in WAYS if f"{seed}-{way}" not in done]
        with ThreadPoolExecutor(2) as pool:
            rows += pool.map(lambda way, seed=seed: train(data, work, seed, way), ways)
        save("transfer", rows, command="python benchmarks/transfer.py WORK_FOLDER", notes=summary(rows))


def summary(rows: list[dict[str, Any]]) -> str:
    looks = [row["is_plausible"] for row in rows if "is_plausible" in row]
    means = {}
    for way in WAYS:
        values = [row["test_accuracy"]["value"] for row in rows if row.get("way") == way]
        means[way] = f"{way} {sum(values) / len(values):.3f} over {len(values)} of {len(SEEDS)} splits"
    return f"{sum(looks)} of {len(looks)} top-1 labels plausible; test accuracy: {'; '.join(means.values())}"


if __name__ == "__main__":
    main()
