"""Differences between torch and the runtimes of an exported ONNX graph, on 200 samples per run.

    python benchmarks/export.py RUN...
It is the check that `obverse export` makes before it accepts a file. The runs should be trained ones: networks that
have hardly learned anything hide errors of the geometry.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import finished, save

from obverse.engines import OnnxSession, OpenVinoSession
from obverse.export import TrainedModel
from obverse.export.gate import Gate
from obverse.export.onnx import exported


def rows_of(run: Path) -> list[dict[str, Any]]:
    """One row per runtime."""
    model = TrainedModel.read(run)
    gate = Gate.of(model)
    data = exported(gate.graph, gate.names, model.bundle).SerializeToString()
    return [
        {
            "run": run.name,
            "runtime": parity.runtime,
            "largest difference in probability": float(f"{parity.probability:.2g}"),
            "largest difference in pixels, levels": parity.levels,
            "share of pixel values that differ": float(f"{parity.values:.2g}"),
            "other answers": parity.num_other_answers,
            "other sets, decisions or outlier scores": parity.num_other_rules,
            "accepted": parity.is_equal,
        }
        for parity in map(gate.measure, (OnnxSession(data), OpenVinoSession(data)))
    ]


def main() -> None:
    rows = finished("export", "run")
    for run in map(Path, sys.argv[1:]):
        rows += rows_of(run)
        print(*rows[-2:], sep="\n", flush=True)
        save(
            "export",
            rows,
            command="python benchmarks/export.py RUN...",
            notes="Runs of few_pairs.py (MobileNetV2) and evaluation.py (run-default).",
        )


if __name__ == "__main__":
    main()
