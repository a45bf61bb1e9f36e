"""Size, speed and accuracy of exact and quantised files of runs, in ONNX Runtime and OpenVINO, on their test samples.

    python benchmarks/quantised.py RUN...
It is the table of `obverse export RUN --int8` and `--fp16`. Calibrated on train samples. The runs' data must be there.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import finished, hardware, save

from obverse.api.quantising import Measured, Quantised, export_quantised
from obverse.export import TrainedModel

RUNTIMES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}


def rows_of(run: Path) -> Iterator[dict[str, Any]]:
    """One row per file."""
    model = TrainedModel.read(run)
    for format, runtime in RUNTIMES.items():
        results: list[Quantised] = []
        for method in ("int8", "fp16"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "model.xml" if format == "openvino" else "model.onnx")
                export_quantised(path, model, method, format=format, max_drop=100, notify=results.append)
        exact = results[0].before
        for file, words in [(exact, ""), *((result.after, result.words) for result in results)]:
            yield {"run": run.name, "runtime": runtime, "file": file.name, **row_of(file, exact), "difference": words}


def row_of(file: Measured, exact: Measured) -> dict[str, Any]:
    """The figures of a file."""
    return {
        "MB": round(file.num_bytes / 1e6, 2),
        "share of the exact file": round(file.num_bytes / exact.num_bytes, 3),
        "one sample, ms": round(file.milliseconds, 2),
        "samples per second in batches of 16": round(file.samples_per_second, 1),
        "accuracy": round(file.score("accuracy"), 4),
        "log loss": round(file.score("loss"), 4),
    }


def main() -> None:
    rows = finished("quantised", "run")
    for run in map(Path, sys.argv[1:]):
        rows = [row for row in rows if row["run"] != run.name]
        rows += [{**row, "hardware": hardware()} for row in rows_of(run)]
        print(*rows[-6:], sep="\n", flush=True)
        save(
            "quantised",
            rows,
            command="python benchmarks/quantised.py RUN...",
            notes="Runs of few_pairs.py (MobileNetV2 at 64x64) and evaluation.py (run-default).",
        )


if __name__ == "__main__":
    main()
