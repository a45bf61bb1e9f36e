"""What hostile and heavy pictures cost: processor seconds and peak memory, each in a fresh process without limits.

    OBVERSE_REAL_DATA=... python benchmarks/hostile.py

The files are those of hostile_images.zip (if the variable is set) and the bombs and heavy files of
tests/imaging/hostile_files.py, plus mutations of small files of every format.
"""

from __future__ import annotations

import os
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "imaging"))

import hostile_files
from common import save

from obverse.imaging import PictureError, Sandbox

NUM_MUTATIONS = 2000
KINDS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")


def archive() -> Iterator[tuple[str, bytes]]:
    folder = os.environ.get("OBVERSE_REAL_DATA")
    if folder:
        with zipfile.ZipFile(Path(folder) / "hostile_images.zip") as opened:
            for name in opened.namelist():
                yield name, opened.read(name)


def made(group: dict[str, Callable[[], bytes]]) -> Iterator[tuple[str, bytes]]:
    for name, make in group.items():
        yield name, make()


def mutations() -> Iterator[tuple[str, bytes]]:
    """Up to six bytes of the first 700 replaced, or the file cut at a multiple of 64."""
    draw = random.Random(0)
    whole = {kind: hostile_files.saved(kind) for kind in KINDS}
    for number in range(NUM_MUTATIONS):
        kind = draw.choice(KINDS)
        data = bytearray(whole[kind])
        if number % 2:
            data = data[: 64 * draw.randrange(1, len(data) // 64)]
        for _ in range(draw.randint(0 if number % 2 else 1, 6)):
            data[draw.randrange(min(len(data), 700))] = draw.choice([0, 1, 2, 16, 127, 128, 254, 255])
        yield f"{kind} {number}", bytes(data)


def measured(group: str, files: Iterator[tuple[str, bytes]], *, in_one_process: bool = False) -> dict[str, Any]:
    """One row: how many files, pictures, refusals and deaths, and the worst cost."""
    rows: list[tuple[str, str, float, float]] = []
    box = Sandbox(1, memory_bytes=8 << 30, cpu_seconds=60.0, wall_seconds=600.0)
    for name, data in files:
        try:
            rows.append((name, *box.run(hostile_files.measure, data)))
        except (PictureError, RuntimeError) as error:
            rows.append((name, f"died: {error}", 60.0, float("inf")))
        if not in_one_process:
            box.close()
    box.close()
    slowest, largest = max(rows, key=lambda row: row[2], default=None), max(rows, key=lambda row: row[3], default=None)
    return {
        "group": group,
        "files": len(rows),
        "pictures": sum(not row[1].startswith(("refused", "died")) for row in rows),
        "refused": sum(row[1].startswith("refused") for row in rows),
        "died": [row[:2] for row in rows if row[1].startswith("died")],
        "slowest": slowest and {"file": slowest[0], "cpu_seconds": round(slowest[2], 3)},
        "largest": largest and {"file": largest[0], "peak_mib": round(largest[3])},
    }


def main() -> None:
    rows = [
        measured("hostile_images.zip", archive()),
        measured("bombs", made(hostile_files.BOMBS)),
        measured("heavy, within the limits", made(hostile_files.HEAVY)),
        measured("mutations and truncations", mutations(), in_one_process=True),
    ]
    save("hostile", rows, command="python benchmarks/hostile.py", notes="bars: 3 s, 512 MiB; bombs 1 s, 256 MiB")


if __name__ == "__main__":
    main()
