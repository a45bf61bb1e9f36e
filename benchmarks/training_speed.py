"""Pictures per second of `obverse train` on the CPU, beside a plain loop at its defaults and with its best flags.

The same networks from scratch (of timm; `convnet-32`: Obverse's own) on the same generated photographs of 512x384 (at
32: of 32x32), in turn, for several rounds; rates are the best of the rounds, of the last epoch. The plain loop tries
channels-last and torch.compile, with bf16 where its product is the faster one, else in fp32; the best counts.
`matmul_share` is the share of a matrix product of 2048x2048 on this machine, in the format that Obverse chose, by the
operations of forward and backward passes. Nothing else may run.
    python benchmarks/training_speed.py WORK_FOLDER [CASE...] [--rounds 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import timm
import torch
from common import finished, hardware, obverse, save_beside, with_settings
from photographs import write_photographs
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from obverse.models.backbones.convnet import ConvNet
from obverse.runtime import supports_bf16

# A timm network, the side of its input, pictures a step, and pictures to train on: whole batches, because the plain
# loop drops a last smaller one, which would cost only Obverse.
CASES = {
    "resnet18-224": ("resnet18", 224, 32, 192),
    "vit-tiny-224": ("vit_tiny_patch16_224", 224, 32, 192),
    "vit-small-224": ("vit_small_patch16_224", 224, 32, 192),
    "resnet18-64": ("resnet18", 64, 64, 1536),
    "convnet-32": ("convnet", 32, 128, 12800),
}
WIDTHS = (64, 128, 256)
CPU = torch.device("cpu")
PEER = Path(__file__).parent / "peers" / "training_rate.py"
FLAGS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "bf16": ("--bf16",),
    "channels-last": ("--channels-last",),
    "channels-last, compile": ("--channels-last", "--compile"),
    "bf16, channels-last": ("--bf16", "--channels-last"),
    "bf16, channels-last, compile": ("--bf16", "--channels-last", "--compile"),
}


def backbone_of(name: str) -> str:
    """The field of the recipe."""
    if name == "convnet":
        return f"{{kind: convnet, widths: {list(WIDTHS)}}}"
    return f"{{kind: timm, name: {name}, pretrained: none}}"


def own_rate(name: str, size: int, batch: int, data: Path, run: Path) -> tuple[float, dict[str, str]]:
    """Rate of the last epoch, and what Obverse chose."""
    settings = with_settings(
        f"model.backbone={backbone_of(name)}",
        f"training.batch_size={batch}",
        "training.epochs=3",
        "schedule.warmup_epochs=0",
        "loss.kind=cross-entropy",
        "data.split={train: 0.85, val: 0.15, test: 0}",  # all of train/ is trained on, as by the plain loop
    )
    obverse("train", data, "--run", run, "--size", size, *settings)
    log = json.loads((run / "training_log.json").read_text())
    return log["epochs"][-1]["pictures_per_second"], {key: log["facts"][key] for key in ("model", "precision")}


def plain_rate(name: str, size: int, batch: int, data: Path, flags: tuple[str, ...]) -> float:
    """Rate of the plain loop, in a process of its own."""
    command = [sys.executable, PEER, data, "--name", name, "--size", size, "--batch", batch, *flags]
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def operations(name: str, size: int) -> int:
    """Floating point operations of a forward and a backward pass over one picture."""
    kwargs = {"img_size": size} if name.startswith("vit") else {}
    network: nn.Module
    if name == "convnet":
        network = ConvNet(height=size, width=size, widths=WIDTHS)
    else:
        network = timm.create_model(name, num_classes=10, **kwargs)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, size, size)).sum().backward()
    return counter.get_total_flops() // 2


def matmul_limit(dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, the best of ten."""
    a = torch.randn(2048, 2048).to(dtype)
    seconds = []
    for _ in range(11):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds[1:])


def run_case(key: str, work: Path, rounds: int) -> dict[str, Any]:
    name, size, batch, num_pictures = CASES[key]
    height, width = (size, size) if size < 64 else (384, 512)
    data = work / f"photos-split-{num_pictures}"
    train = write_photographs(data / "train", num_pictures, height, width)
    write_photographs(data / "val", num_pictures // 8, height, width, first=num_pictures)
    # Without instructions for it bf16 is many times slower, and nobody would take it.
    takes_bf16 = supports_bf16(CPU) and matmul_limit(torch.bfloat16) > matmul_limit(torch.float32)
    tried = {flags: words for flags, words in FLAGS.items() if takes_bf16 == ("--bf16" in words) or not words}
    own, plain, chosen = 0.0, dict.fromkeys(tried, 0.0), {}
    for number in range(rounds):
        run = work / "runs" / f"training-speed-{key}-{time.time_ns()}-{number}"
        rate, chosen = own_rate(name, size, batch, data, run)
        own = max(own, rate)
        for flags, words in tried.items():
            plain[flags] = max(plain[flags], plain_rate(name, size, batch, train, words))
    dtype = torch.bfloat16 if "bf16" in chosen["precision"] else torch.float32
    return {
        "pictures_per_second": round(own, 1),
        "plain": {flags: round(rate, 1) for flags, rate in plain.items()},
        "to_defaults": round(own / plain["defaults"], 2),
        "to_best_flags": round(own / max(plain.values()), 2),
        "matmul_share": round(own * operations(name, size) / matmul_limit(dtype), 2),
        "chosen": chosen,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    rows = [row for row in finished("training_speed", "key") if row["hardware"] == hardware()]
    for key in options.cases or CASES:
        if key not in {row["key"] for row in rows}:
            rows.append({"key": key, "rounds": options.rounds, **run_case(key, options.work, options.rounds)})
            print(rows[-1], flush=True)
            save_beside("training_speed", rows, command="python benchmarks/training_speed.py WORK_FOLDER")


if __name__ == "__main__":
    main()
