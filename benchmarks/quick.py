"""Ratios of speed in about ten minutes, for a look before and after a change; nothing is saved.

Each is measured as in the benchmark of its name, with fewer rounds, beside its peer and in a process of its own.
    python benchmarks/quick.py WORK_FOLDER
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from common import hardware


class Ratio(NamedTuple):
    """A ratio beside the one that is wanted."""

    work: str
    value: float
    wanted: str


def of_waiting(work: Path) -> Iterator[Ratio]:
    import startup

    wanted = {"import obverse.inference": "at most 1.3", "obverse predict, one picture": "at most 1.6"}
    for row in startup.measure(work, 2):
        if row["what"] in wanted:
            yield Ratio(f"{row['what']}, to import torch", row["to_import_torch"], wanted[row["what"]])


def of_decoding(work: Path) -> Iterator[Ratio]:
    import decode
    from photographs import write_photographs

    from obverse.data import Geometry

    small = sorted(write_photographs(work / "photos-512x384", 20, 384, 512).rglob("*.jpg"))[:20]
    for row in decode.measure("512x384 to 224x168", small, Geometry(168, 224, 168, 224), 10):
        if row["way"] == "obverse":
            yield Ratio("decoding and resizing, to Pillow", row["times_pillow"], "above 1")


def of_loading(work: Path) -> Iterator[Ratio]:
    import loading
    from photographs import write_photographs

    rows = loading.cached_epoch(write_photographs(work / "photos-loading", 512, 384, 512), 2)
    best = max(row["times_rival"] for row in rows)
    yield Ratio("cached epoch, to ImageFolder with 2 workers", best, "above 1")


def of_training(work: Path) -> Iterator[Ratio]:
    import training_speed

    row = training_speed.run_case("resnet18-64", work, 1)
    yield Ratio("training ResNet-18 at 64, to a plain loop", row["to_defaults"], "1.5 with fast bf16, else 1.1")
    yield Ratio("the same, to its best flags", row["to_best_flags"], "at least 0.97")


def of_engines(work: Path) -> Iterator[Ratio]:
    import engines

    from obverse.cpus import num_usable_cpus

    for row in engines.measure("vit_tiny_patch16_224", num_usable_cpus(), 3):
        if "least cosine" in row and row["way"] != engines.EAGER:
            yield Ratio(f"ViT-Tiny by {row['way']}, to eager fp32", row["ratio to eager fp32, batches"], "above 1")


def of_prediction(work: Path) -> Iterator[Ratio]:
    import predict

    with tempfile.TemporaryDirectory() as folder:
        share = predict.rates(Path(folder), 640)["share"]
    yield Ratio("predicting 640 JPEGs by ResNet-18, to the bare engine", share, "at least 0.9")


PARTS: tuple[Callable[[Path], Iterator[Ratio]], ...] = (
    of_waiting,
    of_decoding,
    of_loading,
    of_training,
    of_engines,
    of_prediction,
)


def listed(part: Callable[[Path], Iterator[Ratio]], work: Path) -> list[Ratio]:
    """The ratios of a part, measured in this process."""
    return list(part(work))


def main() -> None:
    """Print a line per ratio."""
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    lines = []
    spawn = multiprocessing.get_context("spawn")
    for part in PARTS:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            lines += pool.submit(listed, part, work).result()
    print(f"\n{hardware()}")
    for ratio in lines:
        print(f"{ratio.work:<60} {ratio.value:6.2f}   {ratio.wanted}")


if __name__ == "__main__":
    main()
