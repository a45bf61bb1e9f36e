"""A matrix of small runs whose every result can be compared between two states of the code.

One class, ordered classes, label sets, two views, columns, an ensemble, a resumed run and two ranks. Each run goes
through the command line, which stays the same when modules move; everything that is otherwise measured is fixed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

FIXED = (
    "model.backbone={kind: convnet, widths: [8, 8]}",
    "runtime={device: cpu, precision: fp32, channels_last: false, matmul: highest, num_threads: 1, num_workers: 0, "
    "compile: false}",
    "training.batch_size=8",
    "training.micro_batch_size=8",
    "training.epochs=3",
    "data.size={height: 16, width: 16}",
)
NORMLESS = "model.backbone={kind: vit, patch: 8, width: 16, depth: 1, heads: 2}"
# Run -> (data, further arguments).
RUNS = {
    "one_class": ("classes", ()),
    "one_class_b": ("classes", ("--set", "training.seed=1")),
    "ordered": ("ordered", ("--set", "data.order=[low, middle, high]")),
    "label_sets": ("sets/list.csv", ("--set", "data.labels=multi")),
    "two_views": ("views", ()),
    "columns": ("columns/list.csv", ("--set", "data.columns={year: number}")),
}
RESULT_FILES = ("*.json", "*.npy", "*.npz", "*.csv", "*.md", "*.html", "*.safetensors", "*.yaml")
# What differs between two runs of the same code: places, times, memory, versions.
UNSTEADY = re.compile(
    r"\d[\d.,]* ?(minutes|GB|seconds|pictures)\S*|(training time|pictures per second|peak memory|data wait)[^\n]*|"
    r'"(seconds|pictures_per_second|data_wait|version|commit|digest|peak_memory)\w*": [^,\n}]*'
)


def draw(folder: Path) -> None:
    """Noise on a level of grey per class, so that every set can be learned."""
    _classes(folder / "classes", ("dark", "grey", "light"), num=16)
    _classes(folder / "ordered", ("low", "middle", "high"), num=16)
    _classes(folder / "views", ("dark", "light"), num=16, views=("obverse", "reverse"))
    rows = [["image", "labels"]]
    for n in range(48):
        names = [name for k, name in enumerate(("red", "green", "blue")) if n >> k & 1]
        levels = [200 if name in names else 60 for name in ("red", "green", "blue")]
        rows.append([f"{n:02}.png", "|".join(names)])
        _picture(folder / "sets" / f"{n:02}.png", levels, seed=n)
    _table(folder / "sets" / "list.csv", rows)
    rows = [["image", "label", "year"]]
    for n in range(48):
        rows.append([f"{n:02}.png", ("old", "new")[n % 2], str(1900 + 50 * (n % 2) + n % 7)])
        _picture(folder / "columns" / f"{n:02}.png", [120, 120, 120], seed=n)
    _table(folder / "columns" / "list.csv", rows)


def _classes(root: Path, names: tuple[str, ...], *, num: int, views: tuple[str, ...] = ("",)) -> None:
    for k, name in enumerate(names):
        for n in range(num):
            for v, view in enumerate(views):
                level = 60 + 140 * k / (len(names) - 1)
                _picture(root / name / view / f"{n:02}.png", [level, level, level], seed=100 * k + 2 * n + v)


def _picture(path: Path, levels: list[float], *, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(levels, 25.0, (24, 24, 3))
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path)


def _table(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def run_matrix(source: Path, folder: Path) -> dict[str, str]:
    """Result file -> digest of its steady content, with the code at `source` (its src folder)."""
    shutil.rmtree(folder, ignore_errors=True)
    draw(folder / "data")
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }

    def call(*words: str, launcher: tuple[str, ...] = ()) -> None:
        command = [sys.executable, *(launcher or ("-m", "obverse.cli.main")), *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")

    fixed = [word for setting in FIXED for word in ("--set", setting)]
    for name, (data, further) in RUNS.items():
        call("train", f"data/{data}", "--run", name, *fixed, *further)
    call("ensemble", "one_class", "one_class_b", "--out", "ensemble")
    call("evaluate", "one_class", "--split", "val")
    _interrupted(folder, environment, fixed)
    call("train", "--run", "resumed", "--resume")
    # torchrun would take --run for the beginning of an option of its own.
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--", "obverse.cli.main")
    call("train", "data/classes", "--run", "ranks", *fixed, "--set", NORMLESS, launcher=torchrun)
    return {path: _digest(folder / path, folder) for path in _results(folder)}


def _interrupted(folder: Path, environment: dict[str, str], fixed: list[str]) -> None:
    """Stop a run of many epochs by SIGTERM once it has finished its first one."""
    words = ["train", "data/classes", "--run", "resumed", *fixed, "--set", "training.epochs=12"]
    child = subprocess.Popen(
        [sys.executable, "-m", "obverse.cli.main", *words],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while child.poll() is None and not list(folder.glob("resumed/checkpoints/step-*")):
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    child.wait()


def _results(folder: Path) -> list[str]:
    names = (*RUNS, "ensemble", "resumed", "ranks")
    found = [path for name in names for kind in RESULT_FILES for path in (folder / name).rglob(kind)]
    # They name places, times and versions; digests.json those of files that do, which are compared themselves.
    passing = (".start.json", "environment.json", "config.json", "recipe.yaml", "digests.json")
    return sorted(
        str(path.relative_to(folder)) for path in found if path.name not in passing and "checkpoints" not in path.parts
    )


def _digest(path: Path, folder: Path) -> str:
    data = path.read_bytes()
    if path.suffix in (".json", ".md", ".html", ".csv"):
        text = data.decode().replace(str(folder), "FOLDER")
        text = re.sub(r"data:image/png;base64,[^\"']*", "PNG", text)
        data = UNSTEADY.sub("", text).encode()
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    print(json.dumps(run_matrix(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()), indent=1))
