"""Wall time of `obverse evaluate` with its report on CIFAR-10's 10,000 test pictures, beside the bare forward pass.

The row `pass` is the pass alone: reading, decoding and computing in one process, of a ResNet-18 at 224 over 640
photographs of 512x384; 90 % of the bare rate are wanted.

    OBVERSE_REAL_DATA=... python benchmarks/evaluation.py WORK_FOLDER [auto|resnet18|pass ...]
The bare pass is the run's own engine on pictures that are already in memory, in batches of 256. Both are the best of
three in one run, on all cores; the network is trained for one epoch on 5,000 pictures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from common import finished, hardware, obverse, save_beside, with_settings
from photographs import write_photographs

from obverse.bundle import Bundle, find_bundle, read_bundle
from obverse.data import Batch, Geometry, Loader, PictureDataset
from obverse.engines import TorchEngine, run_engine
from obverse.manifest import build_index
from obverse.recipe import DataSpec, OutputSpec, build_recipe

NUM_TRAIN_PER_CLASS, NUM_TEST, BATCH, NUM_TIMES = 500, 10_000, 256, 3
NUM_PHOTOGRAPHS, RESNET_BATCH = 640, 32
NETWORKS = {
    "auto": [],
    "resnet18": ["model.backbone.kind=timm", "model.backbone.name=resnet18", "model.backbone.pretrained=none"],
}
ROWS = (*NETWORKS, "pass")


def unpack(folder: Path) -> None:
    """Folders train/ and test/ of CIFAR-10: 500 training pictures of each class, and the whole test set."""
    for split in ("train", "test"):
        with zipfile.ZipFile(Path(os.environ["OBVERSE_REAL_DATA"]) / f"cifar10_{split}.zip") as archive:
            taken: dict[str, int] = {}
            for name in sorted(name for name in archive.namelist() if name.endswith(".jpg")):
                label, file = Path(name).parts[-2:]
                taken[label] = taken.get(label, 0) + 1
                if split == "test" or taken[label] <= NUM_TRAIN_PER_CLASS:
                    target = folder / split / label / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))


def bare_seconds(run: Path) -> float:
    """Seconds of the forward pass alone over as many pictures as test has, in memory."""
    bundle, model = read_bundle(find_bundle(run))
    engine = TorchEngine.from_bundle(bundle, model, device=torch.device("cpu"))
    shape = (BATCH, engine.needs.num_views, 3, engine.needs.height, engine.needs.width)
    batch = Batch(
        torch.randint(0, 256, shape, dtype=torch.uint8),
        present_BV=torch.ones(shape[:2], dtype=torch.bool),
        labels_B=torch.full((BATCH,), -1),
        valid_B=torch.ones(BATCH, dtype=torch.bool),
        ids=("",) * BATCH,
    )
    engine.outputs(batch)
    start = time.perf_counter()
    for _ in range(NUM_TEST // BATCH):
        engine.outputs(batch)
    return (time.perf_counter() - start) * NUM_TEST / (NUM_TEST // BATCH * BATCH)


def pass_row(work: Path) -> dict[str, Any]:
    """The pass over a split beside the engine on as many pictures in memory."""
    manifest = build_index(
        write_photographs(work / "photos-evaluation", NUM_PHOTOGRAPHS, 384, 512), DataSpec()
    ).manifest
    spec = build_recipe({"model": {"backbone": {"kind": "timm", "name": "resnet18", "pretrained": "none"}}}, "x").model
    geometry = Geometry(224, 224, 224, 224)
    bundle = Bundle(manifest.classes, False, ("image",), geometry, (0.5,) * 3, (0.25,) * 3, spec, OutputSpec())
    engine = TorchEngine.from_bundle(bundle, bundle.build(), device=torch.device("cpu"))
    loader = Loader(PictureDataset(manifest, manifest.samples, geometry), RESNET_BATCH)
    batches = list(loader.epoch())
    run_engine(engine, batches[:1])
    seconds = {"pass": [], "bare": []}
    for _ in range(NUM_TIMES):
        for name, source in (("pass", loader.epoch()), ("bare", batches)):
            start = time.perf_counter()
            run_engine(engine, source)
            seconds[name].append(time.perf_counter() - start)
    least = {name: min(values) for name, values in seconds.items()}
    return {
        "network": "pass",
        "bare forward pass, s": round(least["bare"], 1),
        "pass over the files, s": round(least["pass"], 1),
        "share of the bare rate": round(least["bare"] / least["pass"], 3),
    }


def evaluate_row(name: str, work: Path) -> dict[str, Any]:
    """`obverse evaluate` beside the engine on as many pictures in memory."""
    data, run = work / "cifar10", work / f"run-{name}"
    if not data.exists():
        unpack(data)
    shutil.rmtree(run, ignore_errors=True)
    obverse("train", data, "--run", run, *with_settings("training.epochs=1", *NETWORKS[name]))
    bare = min(bare_seconds(run) for _ in range(NUM_TIMES))
    evaluated = min(obverse("evaluate", run, "--split", "test") for _ in range(NUM_TIMES))
    return {
        "network": name,
        "bare forward pass, s": round(bare, 1),
        "evaluate, s": round(evaluated, 1),
        "bar, s": round(1.3 * bare + 20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there is {', '.join(ROWS)}")
    rows = [row for row in finished("evaluation", "network") if row["hardware"] == hardware()]
    for name in options.rows or ROWS:
        rows = [row for row in rows if row["network"] != name]
        rows.append(pass_row(options.work) if name == "pass" else evaluate_row(name, options.work))
        print(rows[-1], flush=True)
        save_beside("evaluation", rows, command="OBVERSE_REAL_DATA=... python benchmarks/evaluation.py WORK_FOLDER")


if __name__ == "__main__":
    main()
