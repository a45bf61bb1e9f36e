"""Loading against torchvision's usual way, on all cores of this machine: wall time.

    python benchmarks/loading.py WORK_FOLDER [--quick]

1. A cached epoch over 512x384 photographs at 224: our loader (no workers, and two) against ImageFolder + DataLoader
   (two workers), with the same random resized crop, mirror and colour jitter; both end in normalised float batches.
2. The second epoch over 6000x3000 photographs at 512x256: from memory, and from the raw disk cache of an earlier run,
   against an epoch of Pillow decoding and resizing, one thread each.
3. How long a ResNet-18 at 224 waits for pictures: share of each epoch's wall time, as `obverse train` reports it.

Rivals interleaved, the least of several rounds. Photographs are generated (photographs.py). About three minutes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import obverse, save, with_settings
from photographs import write_photographs
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from obverse.data import CacheContent, Geometry, Loader, MemoryCache, PictureDataset, open_disk_cache
from obverse.engines import Forward
from obverse.manifest import Manifest, build_index
from obverse.recipe import AugmentSpec, DataSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE, BATCH = 224, 32
# The same crop, mirror and jitter on both sides.
AUGMENT = AugmentSpec(policy="none", min_scale=0.4, mirror=0.5, jitter=0.3, margin=1.25).filled()
FORWARD = Forward(MEAN, STD, torch.device("cpu"))


def dataset_of(folder: Path, geometry: Geometry, augment: AugmentSpec | None = AUGMENT) -> PictureDataset:
    index = build_index(folder, DataSpec())
    manifest: Manifest = index.manifest
    return PictureDataset(manifest, manifest.samples, geometry, augment=augment)


def with_memory(dataset: PictureDataset) -> PictureDataset:
    dataset.cache = MemoryCache(len(dataset), dataset.working.shape)
    return dataset


def wall(run: Callable[[], Iterable[Any]]) -> float:
    start = time.perf_counter()
    for _ in run():
        pass
    return time.perf_counter() - start


def cached_epoch(folder: Path, rounds: int) -> list[dict[str, Any]]:
    usual = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIDE, scale=(0.4, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.3, 0.3, 0.3),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    rival = DataLoader(ImageFolder(str(folder), usual), BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    geometry = Geometry(SIDE, SIDE, SIDE, SIDE, fit="squash")
    ours = {n: Loader(with_memory(dataset_of(folder, geometry)), BATCH, seed=0, num_workers=n) for n in (0, 2)}
    ways: dict[str, Callable[[int], Iterable[Any]]] = {
        "ImageFolder, 2 workers": lambda epoch: rival,
        "obverse cached, no workers": lambda epoch: map(FORWARD.inputs, ours[0].epoch(epoch)),
        "obverse cached, 2 workers": lambda epoch: map(FORWARD.inputs, ours[2].epoch(epoch)),
    }
    seconds = dict.fromkeys(ways, float("inf"))
    for epoch in range(rounds + 1):
        for way, run in ways.items():
            passed = wall(lambda run=run, epoch=epoch: run(epoch))
            seconds[way] = min(seconds[way], passed) if epoch else seconds[way]  # the first one fills the caches
    number = len(rival.dataset)  # type: ignore[arg-type]
    return rows_of(f"cached epoch, {number} photographs of 512x384 at {SIDE}", seconds, number)


def rows_of(case: str, seconds: dict[str, float], number: int) -> list[dict[str, Any]]:
    """The first way is the rival."""
    rival = next(iter(seconds.values()))
    return [
        {
            "case": case,
            "way": way,
            "seconds": round(passed, 4),
            "pictures_per_second": round(number / passed, 1),
            "times_rival": round(rival / passed, 2),
        }
        for way, passed in seconds.items()
    ]


def second_epoch(folder: Path, rounds: int) -> list[dict[str, Any]]:
    geometry = Geometry(256, 512, 256, 512)
    paths = sorted(folder.rglob("*.jpg"))

    def pillow() -> Iterable[Any]:
        for path in paths:
            with Image.open(path) as image:
                yield np.asarray(image.convert("RGB").resize((512, 256), Image.Resampling.BILINEAR))

    memory = Loader(with_memory(dataset_of(folder, geometry)), 4, seed=0)
    with tempfile.TemporaryDirectory(dir=folder.parent) as root:
        disk = dataset_of(folder, geometry)
        wanted = CacheContent(disk.manifest, disk.samples, disk.working, "raw")
        open_disk_cache(Path(root), wanted)
        disk.cache, _ = open_disk_cache(Path(root), wanted)
        reader = Loader(disk, 4, seed=0)
        wall(lambda: memory.epoch(0))
        seconds = {"Pillow": float("inf"), "obverse, memory": float("inf"), "obverse, raw on disk": float("inf")}
        for epoch in range(1, rounds + 1):
            ways = (pillow, lambda e=epoch: memory.epoch(e), lambda e=epoch: reader.epoch(e))
            for way, run in zip(seconds, ways, strict=True):
                seconds[way] = min(seconds[way], wall(run))
    return rows_of(f"second epoch, {len(paths)} photographs of 6000x3000 at 512x256", seconds, len(paths))


def wait(folder: Path, work: Path, num_epochs: int) -> list[dict[str, Any]]:
    """What a real run says of itself."""
    run = work / "runs" / f"wait-{time.time_ns()}"
    settings = [
        "model.backbone={kind: timm, name: resnet18, pretrained: none}",
        f"data.size={{height: {SIDE}, width: {SIDE}}}",
        "augment={policy: none, min_scale: 0.4, mirror: 0.5, jitter: 0.3}",
        f"training.epochs={num_epochs}",
        f"training.batch_size={BATCH}",
    ]
    obverse("train", folder, "--run", run, *with_settings(*settings))
    runtime = json.loads((run / "config.json").read_text())["runtime"]
    how = f"{runtime['precision']}, {runtime['num_threads']} threads, {runtime['num_workers']} workers"
    return [
        {
            "case": f"ResNet-18 at {SIDE}, {how}, epoch {row['epoch']}",
            "way": "obverse train",
            "pictures_per_second": round(row["pictures_per_second"], 1),
            "wait_share": round(row["data_wait"], 4),
        }
        for row in json.loads((run / "training_log.json").read_text())["epochs"]
    ]


def main() -> None:
    work, quick = Path(sys.argv[1]), "--quick" in sys.argv
    small = write_photographs(work / "photos-loading", 96 if quick else 512, 384, 512)
    large = write_photographs(work / "photos-loading-6000x3000", 4 if quick else 8, 3000, 6000)
    few = write_photographs(work / "photos-resnet", 64 if quick else 256, 384, 512)
    rows = wait(few, work, 2 if quick else 3)
    rows += cached_epoch(small, 2 if quick else 4)
    torch.set_num_threads(1)
    rows += second_epoch(large, 1 if quick else 3)
    for row in rows:
        print(row)
    if not quick:
        save("loading", rows, command="python benchmarks/loading.py WORK_FOLDER", notes=__doc__ or "")


if __name__ == "__main__":
    main()
