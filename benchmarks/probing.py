"""Seconds of `obverse probe`: 20 pictures of each of 10 classes, ViT-S with random weights at 224 pixels.

The bar is 90 seconds on two cores, with an empty cache of features.
    python benchmarks/probing.py
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

import timm
import torch
from common import OBVERSE, save
from photographs import write_photographs
from safetensors.torch import save_file

NAME, ROUNDS = "vit_small_patch16_224", 3


def main() -> None:
    """Measure, and save the rows."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        torch.manual_seed(0)
        save_file(timm.create_model(NAME).state_dict(), work / "weights.safetensors")
        data = write_photographs(work / "data", 200, 384, 512, classes=10)
        command = [*OBVERSE, "probe", str(data), "--weights", str(work / "weights.safetensors"), "--size", "224"]
        rows = []
        for number in range(ROUNDS):
            start, before = time.perf_counter(), os.times()
            environment = os.environ | {"OBVERSE_CACHE": str(work / f"cache{number}")}
            subprocess.run(command, check=True, env=environment, capture_output=True)
            wall, after = time.perf_counter() - start, os.times()
            processor = sum(after[2:4]) - sum(before[2:4])
            rows.append({"network": NAME, "seconds": round(wall, 1), "processor_seconds": round(processor, 1)})
    save("probing", rows, command="python benchmarks/probing.py", notes="Pictures of 512x384, two of three in train.")


if __name__ == "__main__":
    main()
