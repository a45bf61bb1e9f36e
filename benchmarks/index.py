"""The index at the design size: 434,528 empty files in 500 class folders, shaped like the long-tail study.

Times are taken in one process, rivals in turn, and given as the least of several rounds and as ratios to a bare
`os.scandir` walk; memory is the peak of a fresh process above a bare interpreter (imports count). No picture is read.

    python benchmarks/index.py [--files 434528] [--folder SCRATCH] [--rounds 5]
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import save

from obverse.manifest import Manifest, assign_splits, read_manifest, read_source
from obverse.recipe import DataSpec, SplitSpec

# rank: number of pictures. 153 classes above 1,000, 283 above 500, 437 above 200 (D1); the smallest is a guess.
ANCHORS = ((0, 5960), (153, 1000), (283, 500), (437, 200), (499, 30))
SPLITS = {name: SplitSpec(strategy=name) for name in ("digest", "stratified")}  # type: ignore[arg-type]
PEAK = "print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
INDEX = (
    "from pathlib import Path; from obverse.manifest import *; from obverse.recipe import *; "
    "samples = read_source(Path({root!r}), DataSpec()).samples; "
)


def bare_walk(root: str) -> list[str]:
    """The least a walk can do: every path, unsorted, unlabelled."""
    paths = []
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                (folders if entry.is_dir() else paths).append(entry.path)
    return paths


def class_sizes(total: int, num_classes: int = 500) -> list[int]:
    """Falling sizes through ANCHORS, scaled to `total`; between anchors a power law, as steep as the sum wants it."""
    low, high = 0.05, 5.0
    while high - low > 1e-6:
        bend = (low + high) / 2
        sizes = _curve(bend, num_classes)
        low, high = (bend, high) if sum(sizes) < 434_528 else (low, bend)
    scaled = [max(1, round(size * total / sum(sizes))) for size in sizes]
    scaled[0] += total - sum(scaled)
    return scaled


def _curve(bend: float, num_classes: int) -> list[float]:
    sizes = []
    for (first, above), (last, below) in itertools.pairwise(ANCHORS):
        for rank in range(first, last):
            share = ((rank - first) / (last - first)) ** bend
            sizes.append(above * (below / above) ** share)
    return [*sizes, ANCHORS[-1][1]][:num_classes]


def make_tree(root: Path, total: int) -> None:
    """Empty files; one interrupted is completed."""
    for number, size in enumerate(class_sizes(total)):
        folder = root / f"class_{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        for picture in range(size):
            (folder / f"img_{picture:06d}.jpg").touch()


def times(root: Path, rounds: int) -> list[dict[str, Any]]:
    """The least seconds of each step, in turn; the ratio to the bare walk of the same rounds."""
    samples = read_source(root, DataSpec()).samples
    manifest = Manifest(root, assign_splits(samples, SPLITS["digest"]), tuple(sorted(set(samples.labels))), ("image",))
    file = root.parent / f"{root.name}.csv"
    manifest.write(file)
    shape: dict[str, Any] = {"root": root, "classes": manifest.classes, "views": manifest.views, "ordered": False}
    steps: dict[str, Callable[[], object]] = {
        "bare os.scandir walk": lambda: bare_walk(str(root)),
        "walk, ids and pairing": lambda: read_source(root, DataSpec()),
        "digest split": lambda: assign_splits(samples, SPLITS["digest"]),
        "stratified split": lambda: assign_splits(samples, SPLITS["stratified"]),
        "manifest.split and counts": lambda: (manifest.split("train"), manifest.counts("train")),
        "manifest written": lambda: manifest.write(file),
        "manifest read": lambda: read_manifest(file, **shape),
    }
    least = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            least[name] = min(least[name], time.perf_counter() - start)
    file.unlink()
    bare = least["bare os.scandir walk"]
    return [{"step": name, "seconds": round(s, 3), "ratio_to_bare": round(s / bare, 2)} for name, s in least.items()]


def memory(root: Path) -> list[dict[str, Any]]:
    """Peak megabytes of a fresh process above a bare interpreter."""
    index = INDEX.format(root=str(root))
    programs = {
        "import obverse.manifest": "import obverse.manifest",
        "bare os.scandir walk": f"import os\n{inspect.getsource(bare_walk)}\npaths = bare_walk({str(root)!r})",
        "walk, ids and pairing": index,
        "and a digest split": index + "samples = assign_splits(samples, SplitSpec(strategy='digest'))",
        "and a stratified split": index + "samples = assign_splits(samples, SplitSpec(strategy='stratified'))",
    }
    reading = index + (
        "m = Manifest(Path('.'), samples, tuple(sorted(set(samples.labels))), ('image',)); "
        "import tempfile; f = Path(tempfile.mkdtemp()) / 'm.csv'; m.write(f); n = len(samples); del samples; "
        "m = read_manifest(f, root=m.root, classes=m.classes, views=m.views, ordered=False); f.unlink()"
    )
    programs["and the manifest written and read, both held"] = reading
    bare = _peak("")
    return [{"step": name, "peak_mb": round((_peak(program) - bare) / 1000, 1)} for name, program in programs.items()]


def _peak(program: str) -> float:
    done = subprocess.run([sys.executable, "-c", f"{program}\n{PEAK}"], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]) * 1.024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=434_528)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "obverse-index")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    root = arguments.folder / str(arguments.files)
    make_tree(root, arguments.files)
    rows = times(root, arguments.rounds) + memory(root)
    for row in rows:
        print(row)
    save("index", rows, command=f"python benchmarks/index.py --files {arguments.files}", notes=__doc__ or "")


if __name__ == "__main__":
    main()
