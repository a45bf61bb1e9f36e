"""How long users wait: `obverse --help`, and `obverse train` to the first optimizer step on generated coins.

python benchmarks/startup.py WORK_FOLDER
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import OBVERSE, obverse, save

ROUNDS = 5


def help_seconds() -> float:
    start = time.perf_counter()
    subprocess.run([*OBVERSE, "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


def first_step_seconds(data: Path, run: Path) -> float:
    """Until the first step's line is in events.jsonl; then the run is stopped."""
    start = time.perf_counter()
    process = subprocess.Popen([*OBVERSE, "train", str(data), "--run", str(run)], stderr=subprocess.DEVNULL)
    events = run / "events.jsonl"
    while not (events.is_file() and "StepEnd" in events.read_text()):
        if process.poll() is not None:
            raise RuntimeError("the run ended before its first step")
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    process.terminate()
    process.wait()
    return seconds


def main() -> None:
    work = Path(sys.argv[1])
    data = work / "coins-startup"
    if not data.exists():
        obverse("sample", "coins", data)
    helps = [help_seconds() for _ in range(ROUNDS + 1)][1:]
    steps = [first_step_seconds(data, work / "runs" / f"startup-{time.time_ns()}") for _ in range(ROUNDS + 1)][1:]
    rows = [
        {"what": "obverse --help", "median_seconds": statistics.median(helps), "all": helps},
        {"what": "obverse train, first optimizer step", "median_seconds": statistics.median(steps), "all": steps},
    ]
    save("startup", rows, command="python benchmarks/startup.py WORK_FOLDER")


if __name__ == "__main__":
    main()
