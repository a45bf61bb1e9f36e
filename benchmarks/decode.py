"""Decoding and resizing against Pillow, on one thread: speed and how far the pixels are apart.

    python benchmarks/decode.py WORK_FOLDER [--quick]

CPU time, rivals interleaved; the ratio is Pillow's time over ours, the median of a dozen rounds' own ratios.
PSNR against Pillow's full decode and antialiased resize. Photographs are generated (photographs.py). About one minute.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from statistics import median

import numpy as np
import torch
from common import save
from photographs import write_photographs
from PIL import Image
from torchvision.transforms.v2 import functional

from obverse.data import Geometry
from obverse.imaging import Pixels, decode_picture

Way = Callable[[Path, Geometry], Pixels]


def pillow(path: Path, geometry: Geometry) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((geometry.width, geometry.height), Image.Resampling.BILINEAR))


def ours(path: Path, geometry: Geometry) -> Pixels:
    least = geometry.least_decode
    return geometry.fitted(decode_picture(path.read_bytes(), min_height=least[0], min_width=least[1]))


def full(path: Path, geometry: Geometry) -> Pixels:
    return ours(path, Geometry(*(geometry.height, geometry.width) * 2, decode="full"))


def torchvision_resize(path: Path, geometry: Geometry) -> Pixels:
    """Our full decode and torchvision's own resize: is ours the same kernel?"""
    image_CHW = torch.from_numpy(decode_picture(path.read_bytes())).permute(2, 0, 1)
    result_CHW = functional.resize(image_CHW, [geometry.height, geometry.width], antialias=True)
    return result_CHW.permute(1, 2, 0).numpy()


WAYS: dict[str, Way] = {
    "pillow": pillow,
    "obverse": ours,
    "obverse full": full,
    "full, torchvision": torchvision_resize,
}


def psnr(left: Pixels, right: Pixels) -> float:
    error = np.mean((left.astype(np.float64) - right) ** 2)
    return 10 * math.log10(255**2 / error) if error else float("inf")


def measure(name: str, paths: list[Path], geometry: Geometry, rounds: int) -> list[dict[str, object]]:
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    noise: dict[str, list[float]] = {way: [] for way in WAYS}
    for path in paths:
        expected = pillow(path, geometry)
        for way, run in WAYS.items():
            noise[way].append(psnr(run(path, geometry), expected))
    density = [path.stat().st_size / math.prod(Image.open(path).size) for path in paths]
    for _ in range(rounds):
        for way, run in WAYS.items():
            start = time.process_time()
            for path in paths:
                run(path, geometry)
            seconds[way].append((time.process_time() - start) / len(paths))
    return [
        {
            "case": name,
            "way": way,
            "ms": round(1000 * median(seconds[way]), 2),
            "times_pillow": round(median(map(truediv, seconds["pillow"], seconds[way])), 2),
            "bytes_per_pixel": round(float(np.mean(density)), 2),
            "psnr_db": round(min(noise[way]), 1) if min(noise[way]) < 1e9 else "equal",
        }
        for way in WAYS
    ]


def main() -> None:
    work, quick = Path(sys.argv[1]), "--quick" in sys.argv
    torch.set_num_threads(1)
    large = sorted(write_photographs(work / "photos-6000x3000", 1 if quick else 3, 3000, 6000).rglob("*.jpg"))
    small = sorted(write_photographs(work / "photos-512x384", 20, 384, 512).rglob("*.jpg"))[:20]
    rows = measure("6000x3000 to 512x256", large, Geometry(256, 512, 256, 512), 2 if quick else 12)
    rows += measure("512x384 to 224x168", small, Geometry(168, 224, 168, 224), 5 if quick else 20)
    for row in rows:
        print(row)
    if not quick:
        save("decode", rows, command="python benchmarks/decode.py WORK_FOLDER", notes=__doc__ or "")


if __name__ == "__main__":
    main()
