"""Pictures per second of `obverse train` on the CPU, beside a plain loop at its defaults and with its best flags.

The same timm networks from scratch on the same generated photographs of 512x384, in turn, for several rounds; rates are
the best of the rounds, of the last epoch. The flags of the plain loop are bf16 by autocast, channels-last, both, and
both with torch.compile; the best of them counts. `matmul_share` is the share of a matrix product of 2048x2048 on this
machine, in the format that Obverse chose, by the operations of forward and backward passes. Nothing else may run.
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
from common import finished, obverse, save, with_settings
from photographs import write_photographs
from torch.utils.flop_counter import FlopCounterMode

# A timm network, the side of its input, pictures a step, and pictures of the set.
CASES = {
    "resnet18-224": ("resnet18", 224, 32, 384),
    "vit-tiny-224": ("vit_tiny_patch16_224", 224, 32, 384),
    "vit-small-224": ("vit_small_patch16_224", 224, 32, 192),
    "resnet18-64": ("resnet18", 64, 64, 1536),
}
PEER = Path(__file__).parent / "peers" / "training_rate.py"
FLAGS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "bf16": ("--bf16",),
    "channels-last": ("--channels-last",),
    "bf16, channels-last": ("--bf16", "--channels-last"),
    "bf16, channels-last, compile": ("--bf16", "--channels-last", "--compile"),
}


def own_rate(name: str, size: int, batch: int, data: Path, run: Path) -> tuple[float, dict[str, str]]:
    """Rate of the last epoch, and what Obverse chose."""
    settings = with_settings(
        f"model.backbone={{kind: timm, name: {name}, pretrained: none}}",
        f"training.batch_size={batch}",
        "training.epochs=3",
        "schedule.warmup_epochs=0",
        "data.split={train: 0.9, val: 0.1, test: 0.0}",
        "loss.kind=cross-entropy",
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
    with FlopCounterMode(display=False) as counter:
        timm.create_model(name, num_classes=10, **kwargs)(torch.zeros(1, 3, size, size)).sum().backward()
    return counter.get_total_flops()


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
    data = write_photographs(work / f"photos-speed-{num_pictures}", num_pictures, 384, 512)
    own, plain, chosen = 0.0, dict.fromkeys(FLAGS, 0.0), {}
    for number in range(rounds):
        run = work / "runs" / f"training-speed-{key}-{time.time_ns()}-{number}"
        rate, chosen = own_rate(name, size, batch, data, run)
        own = max(own, rate)
        for flags, words in FLAGS.items():
            plain[flags] = max(plain[flags], plain_rate(name, size, batch, data, words))
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
    rows = finished("training_speed", "key")
    for key in options.cases or CASES:
        if key not in {row["key"] for row in rows}:
            rows.append({"key": key, "rounds": options.rounds, **run_case(key, options.work, options.rounds)})
            print(rows[-1], flush=True)
            save("training_speed", rows, command="python benchmarks/training_speed.py WORK_FOLDER")


if __name__ == "__main__":
    main()
