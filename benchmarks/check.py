"""What `obverse check` finds, how surely, how fast and in how much memory.

    OBVERSE_REAL_DATA=... python benchmarks/check.py WORK_FOLDER [ROW...]

Rows: `near SET CHANGE` copies every second picture of a set (at most 300) with one change and counts the copies that
are found beside their originals, and the pairs found that are neither planted nor there before; `clean KIND` checks
2,000 generated samples; `find SET` lists what is found in a real set; `cifar10` times 60,000 pictures; `memory` is a
tree of 435,000 tiny JPEG files in 500 folders, every one another picture (OBVERSE_FILES changes the number). Rows that
were measured on this kind of processor are kept.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import OBVERSE, finished, hardware, obverse, save
from PIL import Image, ImageOps

from obverse.imaging import PICTURE_SUFFIXES
from obverse.manifest import PictureStore, verify_pictures
from obverse.manifest.verify.copies.near import near_duplicates

NUM_FILES = int(os.environ.get("OBVERSE_FILES", "435000"))
MAX_COPIES = 300
SETS = ("trashnet", "euro_coins", "euro_coins_large", "tomato_freshness", "omniglot_small", "cifar10_test")


def _reencoded(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(_jpeg(image, 60)))


def _cropped(image: Image.Image) -> Image.Image:
    """2 % of each side's length, half of it at either end."""
    y, x = round(image.height * 0.01), round(image.width * 0.01)
    return image.crop((x, y, image.width - x, image.height - y))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "q60": _reencoded,
    "crop2": _cropped,
}


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def unpack(name: str, work: Path) -> Path:
    """The folder of a real set."""
    if not (work / name).exists():
        with zipfile.ZipFile(Path(os.environ["OBVERSE_REAL_DATA"]) / f"{name}.zip") as archive:
            archive.extractall(work)
    return work / name


def near(work: Path, name: str, change: str) -> dict[str, Any]:
    """Recall of planted copies; their JPEG has quality 92 where the change is no re-encoding."""
    root, copies = unpack(name, work), work / "copies" / name / change
    originals = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in PICTURE_SUFFIXES]
    chosen = originals[::2][:MAX_COPIES]
    copies.mkdir(parents=True, exist_ok=True)
    for place, path in enumerate(chosen):
        changed = CHANGES[change](ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        (copies / f"{place}.jpg").write_bytes(_jpeg(changed, 60 if change == "q60" else 92))
    before = _pairs([str(path) for path in originals])[0]
    planted = {(str(path), str(copies / f"{place}.jpg")) for place, path in enumerate(chosen)}
    after, threshold = _pairs([str(path) for path in originals] + [copy for _, copy in planted])
    of = {copy: original for original, copy in planted}
    unexplained = {tuple(sorted((of.get(a, a), of.get(b, b)))) for a, b in after - planted} - before
    return {
        "num_pictures": len(originals),
        "num_copies": len(planted),
        "recall": len(planted & after) / len(planted),
        "threshold": threshold,
        "pairs_before": len(before) // 2,
        "pairs_neither_planted_nor_before": len([pair for pair in unexplained if pair[0] != pair[1]]),
    }


def _pairs(paths: list[str]) -> tuple[set[tuple[str, str]], float]:
    facts = verify_pictures(PictureStore(Path("/")), paths, details=True)
    found = near_duplicates(facts)
    pairs = {tuple(facts.paths[place] for place in pair) for pair in found.pairs_M2.tolist()}
    return pairs | {(b, a) for a, b in pairs}, found.threshold  # type: ignore[return-value, misc]


def check(data: Path, out: Path) -> dict[str, Any]:
    """Run the command: time, the largest process, and findings by severity and code."""
    start = time.perf_counter()
    process = subprocess.Popen([*OBVERSE, "check", str(data), "--out", str(out)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    found = json.loads((out / "check.json").read_text())
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "seconds": round(seconds, 1),
        "largest_process_mb": round(usage.ru_maxrss / 1024),
        "num_samples": found["num_samples"],
        "counts": found["counts"],
        "findings": dict(Counter(f"{f['severity']} {f['code']}" for f in found["findings"])),
        "all": found["findings"],
    }


def clean(work: Path, kind: str) -> dict[str, Any]:
    data = work / f"{kind}-2000"
    if not data.exists():
        obverse("sample", kind, data, "--samples", 2000)
    return _told(check(data, work / "out" / kind), 20)


def find(work: Path, name: str) -> dict[str, Any]:
    return _told(check(unpack(name, work), work / "out" / name), 6)


def cifar10(work: Path) -> dict[str, Any]:
    data = work / "cifar10-all"
    for split in ("train", "test"):
        source = unpack(f"cifar10_{split}", work)
        data.mkdir(exist_ok=True)
        if not (data / split).exists():
            (data / split).symlink_to(source.resolve(), target_is_directory=True)
    return _told(check(data, work / "out" / "cifar10"), 6)


def memory(work: Path) -> dict[str, Any]:
    data = work / f"tree-{NUM_FILES}"
    rng = np.random.default_rng(0)
    for folder in range(500):
        (data / f"{folder:03}").mkdir(parents=True, exist_ok=True)
        for number in range(folder, NUM_FILES, 500):
            path = data / f"{folder:03}" / f"{number:06}.jpg"
            if not path.exists():
                coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                path.write_bytes(_jpeg(coarse.resize((24, 24), Image.Resampling.BICUBIC), 80))
    return {"num_files": NUM_FILES} | _told(check(data, work / "out" / "tree"), 2)


def _told(row: dict[str, Any], num_shown: int) -> dict[str, Any]:
    """The first findings of each code in full, with at most four paths."""
    seen: Counter[str] = Counter()
    shown = []
    for found in row.pop("all"):
        seen[found["code"]] += 1
        if seen[found["code"]] <= num_shown:
            shown.append({"code": found["code"], "message": found["message"], "paths": found["paths"][:4]})
    return row | {"shown": shown}


def main() -> None:
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    jobs: dict[str, Callable[[], dict[str, Any]]] = {}
    for name in ("trashnet", "euro_coins"):
        for change in CHANGES:
            jobs[f"near {name} {change}"] = lambda name=name, change=change: near(work, name, change)
    for kind in ("coins", "shapes"):
        jobs[f"clean {kind}"] = lambda kind=kind: clean(work, kind)
    for name in SETS:
        jobs[f"find {name}"] = lambda name=name: find(work, name)
    jobs |= {"cifar10": lambda: cifar10(work), "memory": lambda: memory(work)}
    rows = finished("check", "what")
    for what in sys.argv[2:] or jobs:
        if what not in {row["what"] for row in rows if row["hardware"] == hardware()}:
            rows.append({"what": what, "hardware": hardware()} | jobs[what]())
            print(json.dumps({k: v for k, v in rows[-1].items() if k != "shown"}), flush=True)
            save(
                "check",
                rows,
                command="OBVERSE_REAL_DATA=... python benchmarks/check.py WORK_FOLDER",
                notes="The children of the sandbox come on top of the largest process",
            )


if __name__ == "__main__":
    main()
