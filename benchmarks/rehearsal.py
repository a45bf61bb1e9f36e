"""Document D end to end at its design size, with tiny pictures: how many minutes and how much memory each phase takes.

A generated index of D1's shape (434,528 pictures of 500 classes, one JSON index per class with a path map) is indexed,
split by digest, trained on for one epoch with a small convnet, evaluated, and laid out as the document's result set.
Pictures are 16x16 JPEGs, each with content of its own (a comment with its number), so that no two are duplicates. Every
phase is a process of its own; its memory is the kernel's peak. `plan` tells what the real recipe would take.

    python benchmarks/rehearsal.py WORK_FOLDER [--pictures 1000 10000 100000 434528]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import OBVERSE, save_beside, with_settings
from index import class_sizes
from PIL import Image

COMMAND = "python benchmarks/rehearsal.py WORK_FOLDER"
CLASSES, KINDS, SIDE = 500, 4, 16
EXAMPLE = Path(__file__).parents[1] / "examples" / "long_tail_scratch" / "track2_vit_scratch.py"
SETTINGS = [
    "data.size={height: 16, width: 16}",
    "model.backbone={kind: convnet, widths: [16, 32]}",
    "schedule.warmup_epochs=0",
    "training.epochs=1",
    "optim.lr=1e-3",
    "evaluation.batch_size=1024",
    # Pictures of 224 pixels would not fit into the memory of the cache (65 GB); tiny ones would, with 0.3 GB.
    "data.cache.memory_gigabytes=0",
]
# ViT-B/16 at 224, training, at 40 % of the peak of one H200; an assumption for the plan, not a measurement.
PICTURES_PER_SECOND = 3750


def generate(root: Path, total: int) -> dict[str, Any]:
    """The pictures and their indexes; one interrupted is completed."""
    originals = root / "originals"
    (root / "path_map.json").parent.mkdir(parents=True, exist_ok=True)
    (root / "path_map.json").write_text(json.dumps({"/photographs": str(originals)}))
    for number, size in enumerate(class_sizes(total, CLASSES)):
        name = f"class_{number:03d}"
        index = root / f"index_{name}.json"
        if not index.is_file():
            write_class(originals / name, number, size)
            index.write_text(json.dumps({"good": [f"/photographs/{name}/{k:06d}.jpg" for k in range(size)]}))
    return {}


def write_class(folder: Path, number: int, size: int) -> None:
    """A class is a colour and a direction; a comment segment makes every file another one."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [tiny_jpeg(number, kind) for kind in range(KINDS)]
    for k in range(size):
        base = files[k % KINDS]
        comment = f"{number}/{k}".encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"{k:06d}.jpg").write_bytes(base[:2] + marker + base[2:])


def tiny_jpeg(number: int, kind: int) -> bytes:
    """Of a class and one of its few looks."""
    generator = np.random.default_rng([number, kind])
    colour_3 = np.random.default_rng(number).uniform(60, 200, 3)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wave_HW = 40 * np.sin((rows * (number % 7) + columns * (number // 7 % 7)) / 3)
    pixels = colour_3 + wave_HW[..., None] + generator.normal(0, 10, (SIDE, SIDE, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()


def measured(arguments: list[str]) -> dict[str, Any]:
    """Run a command: minutes by the clock and of processor time, and the peak memory of its largest process."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(os.waitstatus_to_exitcode(status))
    minutes = (time.perf_counter() - start) / 60
    return {"minutes": round(minutes, 2), "cpu_minutes": round((usage.ru_utime + usage.ru_stime) / 60, 2),
            "peak_mb": round(usage.ru_maxrss * 1.024 / 1000)}  # fmt: skip


def parts_of(run: Path) -> dict[str, Any]:
    """What the run says of itself: the epoch with its validation, and how long it waited for data."""
    log = json.loads((run / "training_log.json").read_text())
    epoch = log["epochs"][0]
    return {
        "epoch_minutes": round(log["seconds"] / 60, 2),
        "pictures_per_second": round(epoch["pictures_per_second"]),
        "data_wait": round(epoch["data_wait"], 3),
        "val_accuracy": epoch["val_accuracy"],
    }


def plan(total: int) -> list[dict[str, Any]]:
    """Memory and hours of the real recipe on one GPU and on eight."""
    command = [*OBVERSE, "plan", "--recipe", "long-tail-scratch", "--classes", str(CLASSES), "--samples", str(total)]
    rows = []
    for num in (1, 8):
        more = ["--device", "cuda", "--memory", "141", "--format", "json", "--processes", str(num)]
        more += ["--pictures-per-second", str(PICTURES_PER_SECOND)]
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        values = json.loads(done.stdout)
        hours = values["seconds_per_epoch"] * values["epochs"] / 3600
        rows.append(
            {
                "phase": f"plan, {num} GPU(s)",
                "fits": values["fits"],
                "peak_gb": round(values["peak_bytes"] / 1e9, 2),
                "training_flops_per_sample": values["training_flops_per_sample"],
                "hours": round(hours, 2),
                "assumption": f"{PICTURES_PER_SECOND} pictures/s and GPU, not measured",
            }
        )
    return rows


def phases(work: Path, total: int) -> dict[str, list[str]]:
    """Name -> command, in order."""
    root, out = work / f"index-{total}", work / f"results-{total}"
    changes = with_settings(*SETTINGS)
    manifest = work / f"manifest-{total}.csv"
    prepare = [*OBVERSE, "prepare", str(root), "--recipe", "long-tail-scratch", "--out", str(manifest), "--force"]
    return {
        "generate": [sys.executable, __file__, str(work), "--pictures", str(total), "--only-generate"],
        "index and split": prepare,
        "index, split, one epoch, evaluation, result set": [
            *(sys.executable, str(EXAMPLE), str(root), "--out", str(out)),
            *changes,
        ],
        "evaluation alone": [*OBVERSE, "evaluate", str(out / "run"), "--out", str(work / f"evaluation-{total}")],
    }


def rehearse(work: Path, total: int) -> Iterator[dict[str, Any]]:
    """A row per phase."""
    for name, command in phases(work, total).items():
        row = {"phase": name, "pictures": total, **measured(command)}
        if "epoch" in name:
            row |= parts_of(work / f"results-{total}" / "run")
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1000, 10_000, 100_000, 434_528])
    parser.add_argument("--only-generate", action="store_true")
    arguments = parser.parse_args()
    if arguments.only_generate:
        for total in arguments.pictures:
            generate(arguments.work / f"index-{total}", total)
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for total in arguments.pictures:
        for row in rehearse(arguments.work, total):
            print(row, flush=True)
            rows.append(row)
            save_beside("rehearsal", rows, command=COMMAND, notes="Not complete.")
    rows += plan(max(arguments.pictures))
    save_beside("rehearsal", rows, command=COMMAND)


if __name__ == "__main__":
    main()
