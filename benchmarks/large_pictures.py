"""6000x3000 photographs to a trained 2:1 convnet, five epochs: the whole command beside a plain loop with Pillow.

Both train the same small network at 512x256 on the same 96 photographs and look at val after every epoch. Obverse's
time is that of the whole command: reading, decoding, the cache, and the report of val. The photographs (120, of which
24 are val, half a gigabyte) are generated. Nothing else may run.
    python benchmarks/large_pictures.py WORK_FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from common import obverse, save_beside, with_settings
from photographs import write_photographs

HEIGHT, WIDTH, BATCH, EPOCHS = 256, 512, 16, 5
NUM_TRAIN, NUM_VAL, NUM_ROUNDS = 96, 24, 2
PEER = Path(__file__).parent / "peers" / "large_pictures.py"


def own_seconds(data: Path, run: Path) -> float:
    """The whole command."""
    settings = with_settings(
        "data.split={train: 0.85, val: 0.15, test: 0}",  # all of train/ is trained on, as by the plain loop
        f"data.size={{height: {HEIGHT}, width: {WIDTH}}}",
        "model.backbone={kind: convnet, widths: [32, 64, 128]}",
        f"training.batch_size={BATCH}",
        f"training.epochs={EPOCHS}",
    )
    return obverse("train", data, "--run", run, *settings)


def plain_seconds(data: Path) -> float:
    """The plain loop, its imports included."""
    options = {"--height": HEIGHT, "--width": WIDTH, "--batch": BATCH, "--epochs": EPOCHS}
    command = [sys.executable, PEER, data, *(part for pair in options.items() for part in pair)]
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    work = Path(sys.argv[1])
    data = work / "photos-6000x3000-splits"
    write_photographs(data / "train", NUM_TRAIN, 3000, 6000)
    write_photographs(data / "val", NUM_VAL, 3000, 6000, first=NUM_TRAIN)
    own, plain = [], []
    for number in range(NUM_ROUNDS):
        own.append(own_seconds(data, work / "runs" / f"large-pictures-{time.time_ns()}-{number}"))
        plain.append(plain_seconds(data))
    row = {
        "pictures": NUM_TRAIN + NUM_VAL,
        "obverse, s": round(min(own), 1),
        "plain loop, s": round(min(plain), 1),
        "times": round(min(plain) / min(own), 2),
    }
    print(row)
    save_beside("large_pictures", [row], command="python benchmarks/large_pictures.py WORK_FOLDER")


if __name__ == "__main__":
    main()
