"""Prediction of many pictures: its rate beside that of the bare engine, and its memory.

    python benchmarks/predict.py                                  # 10,000 pictures, then 1,000,000
    python benchmarks/predict.py --pictures 320 --rows 20000 --quick

1. `Predictor.predict_to` on JPEGs of 512x384 with ResNet-18 at 224x224, in shards, in turn with the bare engine on as
   many pictures that are already decoded and fitted. The bar is 90 % of the engine's rate.
2. `obverse predict - --out results.csv` with a tiny network, and paths of the same 1,000 tiny pictures again and again
   from standard input: the memory of the process while rows are written. The bar is a growth of at most 20 MB from the
   first tenth of the rows to the end.

With --quick nothing is saved. The second part takes about ten minutes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import OBVERSE, save
from PIL import Image, ImageFilter

from obverse.bundle import Bundle, write_bundle
from obverse.data import Geometry
from obverse.inference import load
from obverse.recipe import OutputSpec, build_recipe

BATCH_SIZE, NUM_DIFFERENT, NUM_SHARDS = 16, 200, 5
BACKBONES = {224: {"kind": "timm", "name": "resnet18", "pretrained": "none"}, 16: {"kind": "convnet", "widths": [4, 8]}}


def make_bundle(folder: Path, side: int) -> Path:
    """A bundle with random weights."""
    backbone = BACKBONES[side] | ({"mirrored": False} if side == 16 else {})
    spec = build_recipe({"model": {"backbone": backbone}}, "benchmark").model
    geometry, classes = Geometry(side, side, side, side), tuple(f"class {n}" for n in range(10))
    bundle = Bundle(classes, False, ("image",), geometry, (0.5,) * 3, (0.25,) * 3, spec, OutputSpec())
    torch.manual_seed(0)
    write_bundle(folder / f"bundle-{side}", bundle, bundle.build().state_dict())
    return folder / f"bundle-{side}"


def make_pictures(folder: Path, num: int, size: tuple[int, int]) -> list[Path]:
    """JPEGs of smooth noise, about 30 kB at 512x384; of more than `NUM_DIFFERENT`, copies. size: (width, height)."""
    folder.mkdir()
    contents = []
    for seed in range(min(num, NUM_DIFFERENT)):
        noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.SHARPEN)
        data = io.BytesIO()
        image.save(data, "JPEG", quality=90)
        contents.append(data.getvalue())
    paths = [folder / f"p{number}.jpg" for number in range(num)]
    for path, content in zip(paths, itertools.cycle(contents)):
        path.write_bytes(content)
    return paths


def rates(folder: Path, num: int) -> dict[str, Any]:
    """Pictures per second of prediction and of the bare engine, in turn."""
    predictor = load(make_bundle(folder, 224), device="cpu")
    pictures = [str(path) for path in make_pictures(folder / "photographs", num, (512, 384))]
    batch = next(predictor.batches(pictures[:BATCH_SIZE], BATCH_SIZE))
    list(predictor.predict_each(pictures[: 2 * BATCH_SIZE]))  # the first pictures also start the decoders
    seconds = {"predict": 0.0, "engine": 0.0}
    num_batches = num_rows = 0
    for shard in range(1, NUM_SHARDS + 1):
        start = time.perf_counter()
        written = predictor.predict_to(pictures, folder / f"{shard}.csv", shard=f"{shard}/{NUM_SHARDS}")
        seconds["predict"] += time.perf_counter() - start
        assert written.num_failures == 0
        count = -(-written.num_rows // BATCH_SIZE)
        start = time.perf_counter()
        for _ in range(count):
            predictor.engine.outputs(batch, embeddings=False)
        seconds["engine"] += time.perf_counter() - start
        num_batches, num_rows = num_batches + count, num_rows + written.num_rows
    assert num_rows == num
    predict, engine = num_rows / seconds["predict"], num_batches * BATCH_SIZE / seconds["engine"]
    return {"what": "rate", "pictures": num, "predict_per_second": round(predict, 2),
            "engine_per_second": round(engine, 2), "share": round(predict / engine, 4)}  # fmt: skip


def memory(folder: Path, num_rows: int) -> dict[str, Any]:
    """Memory of a process that predicts `num_rows` tiny pictures, by the share of the rows that are written."""
    bundle = make_bundle(folder, 16)
    pictures = make_pictures(folder / "tiny", 1000, (32, 24))
    paths = folder / "paths.txt"
    with paths.open("w") as file:
        file.writelines(f"{path}\n" for path in itertools.islice(itertools.cycle(pictures), num_rows))
    out = folder / "results.csv"
    rows = folder / "results.csv.partial" / "rows"
    start, seen = time.perf_counter(), list[tuple[float, float]]()
    with paths.open() as file:
        command = [*OBVERSE, "predict", str(bundle), "-", "--out", str(out), "--device", "cpu"]
        process = subprocess.Popen(command, stdin=file, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(0.2)
            try:
                seen.append((float(rows.stat().st_size), _resident_mb(process.pid)))
            except (OSError, StopIteration):
                continue
    assert process.returncode == 0
    seconds = time.perf_counter() - start
    row_bytes = float(out.stat().st_size)
    with out.open() as file:
        assert sum(1 for _ in file) == num_rows + 1
    tenths = [max((mb for size, mb in seen if n <= 10 * size / row_bytes <= n + 1), default=0.0) for n in range(10)]
    growth = max(tenths[1:]) - tenths[0]
    return {"what": "memory", "rows": num_rows, "seconds": round(seconds, 1), "most_mb_by_tenth": tenths,
            "growth_mb": round(growth, 1)}  # fmt: skip


def _resident_mb(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rows = []
    for measure, num in ((rates, options.pictures), (memory, options.rows)):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), num))
        print(rows[-1], flush=True)
        if not options.quick:
            save("predict", rows, command="python benchmarks/predict.py")


if __name__ == "__main__":
    main()
