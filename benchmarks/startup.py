"""How long users wait: `--help`, `train` to the first step, `predict` of one picture, and `import obverse.inference`.

Each round runs all of them in turn, and `import torch` alone, of whose seconds `predict` may take 1.6 times and the
import 1.3 times. `--help` may take 0.4 seconds, and the first step 8. The data are generated.
    python benchmarks/startup.py WORK_FOLDER
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import OBVERSE, obverse, save_beside, with_settings

ROUNDS = 5


def seconds_of(*command: object) -> float:
    """Wall seconds of a command whose output nobody reads."""
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
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


def trained(data: Path, run: Path) -> Path:
    """A finished run of two epochs."""
    if not run.exists():
        obverse("train", data, "--run", run, "--size", 64, *with_settings("training.epochs=2"))
    return run


def measure(work: Path, rounds: int) -> list[dict[str, Any]]:
    """A row per command: the median seconds, and their ratio to `import torch` of the same round."""
    data, pictures = work / "coins-startup", work / "shapes-startup"
    for kind, folder in (("coins", data), ("shapes", pictures)):
        if not folder.exists():
            obverse("sample", kind, folder)
    run = trained(pictures, work / "runs" / "startup-shapes")
    picture = next(pictures.rglob("*.png"))
    timed: dict[str, Callable[[], float]] = {
        "import torch": lambda: seconds_of(sys.executable, "-c", "import torch"),
        "obverse --help": lambda: seconds_of(*OBVERSE, "--help"),
        "import obverse.inference": lambda: seconds_of(sys.executable, "-c", "import obverse.inference"),
        "obverse predict, one picture": lambda: seconds_of(*OBVERSE, "predict", run, picture),
        "obverse train, first optimizer step": lambda: first_step_seconds(
            data, work / "runs" / f"startup-{time.time_ns()}"
        ),
    }
    measured = [{what: command() for what, command in timed.items()} for _ in range(rounds + 1)][1:]
    rows = []
    for what in timed:
        ratio = statistics.median(each[what] / each["import torch"] for each in measured)
        seconds = [round(each[what], 3) for each in measured]
        rows.append({"what": what, "median_seconds": statistics.median(seconds), "to_import_torch": round(ratio, 2),
                     "all": seconds})  # fmt: skip
    return rows


def main() -> None:
    """Measure, and save the rows."""
    save_beside("startup", measure(Path(sys.argv[1]), ROUNDS), command="python benchmarks/startup.py WORK_FOLDER")


if __name__ == "__main__":
    main()
