"""Pairs of 1008x1008 through ViT-B/16 with gradient checkpointing on the CPU: the peak of a real step beside the plan.

Every case is an epoch of two steps (a pair each; the second has the optimizer's state), its validation and its
checkpoint, in a fresh process; weights are random, because they change neither memory nor time. The peak is the
kernel's (`ru_maxrss`), above what imports took.
`python benchmarks/high_resolution.py [--side 1000] [CASE ...]`; a smaller side is for trying the script, and not saved.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import finished, save
from PIL import Image

CASES: dict[str, dict[str, Any]] = {
    "shared, fp32": {"sharing": "shared", "precision": "fp32"},
    "shared, bf16": {"sharing": "shared", "precision": "bf16"},
    "separate (preset), fp32": {"sharing": "separate", "precision": "fp32"},
    "separate (preset), bf16": {"sharing": "separate", "precision": "bf16"},
}
VIEWS = ("obverse", "reverse")
BAR = 0.2


def recipe_of(case: dict[str, Any], side: int) -> Any:
    """The preset `coins-two-view`, with everything decided that is measured otherwise."""
    from obverse.recipe import load_recipe

    return load_recipe(
        "coins-two-view",
        [
            f"data.size={{height: {side}, width: {side}}}",
            "data.split={train: 0.5, val: 0.5, test: 0.0}",
            "data.cache={kind: none}",
            "model.backbone.pretrained=none",
            f"model.sharing={case['sharing']}",
            "optim.lr=1e-4",
            "schedule.warmup_epochs=0",
            "training.epochs=1",
            "training.batch_size=1",
            "training.micro_batch_size=1",
            "training.ema_decay=0.0",
            "evaluation.batch_size=1",
            "runtime.device=cpu",
            "runtime.checkpointing=true",
            f"runtime.precision={case['precision']}",
            "runtime.channels_last=false",
            "runtime.compile=false",
            "runtime.num_workers=0",
        ],
    )


def draw(folder: Path, side: int) -> None:
    """One pair of noise for training and one for validation, in each of two classes."""
    rng = np.random.default_rng(0)
    for grade in ("AU50", "MS65"):
        for view in VIEWS:
            for number in range(2):
                path = folder / grade / view / f"coin{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def measure(name: str, folder: Path, side: int) -> dict[str, float]:
    """In this process: the steps, then the rest of the epoch; peaks above the baseline."""
    from torch.nn import functional

    from obverse.experiment.auto import resolve
    from obverse.experiment.auto.tune import tune
    from obverse.experiment.setup import build_model, describe, set_up
    from obverse.manifest import build_index
    from obverse.runs import StepEnd
    from obverse.training import Trainer

    recipe = recipe_of(CASES[name], side)
    index = build_index(folder, recipe.data)
    resolved = resolve(recipe, index)
    baseline = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    model, bundle = build_model(resolved.recipe, index.manifest), describe(resolved.recipe, index.manifest)
    calls = []
    fused = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = lambda query, *rest, **options: (
        calls.append(query.shape[-2]) or fused(query, *rest, **options)
    )
    recipe = tune(resolved, model, bundle, num_train=len(index.manifest.split("train")))
    setup = set_up(recipe, index.manifest, model=model)
    parts = (setup.engine(), recipe, setup.loaders())
    trainer = Trainer(*parts, objective=setup.objective, checkpoints=folder / "checkpoints")
    start, row = time.perf_counter(), {}
    for event in trainer.run():
        if isinstance(event, StepEnd):
            row = {"step_seconds": time.perf_counter() - start, "step_bytes": _peak() - baseline}
            row |= {"tokens": calls[0], "fused_calls_in_step": len(calls)}
            print(json.dumps(row), file=sys.stderr, flush=True)
            start = time.perf_counter()
            calls.clear()
    return {**row, "measured_bytes": _peak() - baseline, "baseline_bytes": baseline}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def planned(name: str, folder: Path, side: int) -> dict[str, float]:
    """What `obverse plan` says, with and without checkpointing."""
    from obverse.manifest import build_index
    from obverse.planning.plan import make_plan

    recipe = recipe_of(CASES[name], side)
    index = build_index(folder, recipe.data)
    memory = make_plan(recipe, index, device="cpu", gigabytes=1000).memory
    plain = recipe.changed({"runtime.checkpointing": False})
    without = make_plan(plain, index, device="cpu", gigabytes=1000).memory
    return {
        **{f"planned_{key}": value for key, value in memory.__dict__.items()},
        "planned_peak_without_checkpointing": without.peak,
    }


def in_fresh_process(what: str, name: str, folder: Path, side: int) -> dict[str, float]:
    """Run `measure` or `planned` alone."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        __file__,
        "--side",
        str(side),
        "--only",
        what,
        "--data",
        str(folder),
        name,
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """All cases, or those that are named; finished ones are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--only", choices=("measure", "planned"), help="used by the script itself")
    parser.add_argument("--data", type=Path, help="used by the script itself")
    given = parser.parse_args()
    if given.only:
        work = measure if given.only == "measure" else planned
        print(json.dumps(work(given.cases[0], given.data, given.side)))
        return
    is_real = given.side == 1000
    rows = finished("high_resolution", "ratio") if is_real else []
    for name in given.cases or [case for case in CASES if case not in {row["case"] for row in rows}]:
        rows = [row for row in rows if row["case"] != name]
        with tempfile.TemporaryDirectory() as place:
            draw(Path(place), given.side)
            row: dict[str, Any] = {"case": name, **in_fresh_process("planned", name, Path(place), given.side)}
            row |= in_fresh_process("measure", name, Path(place), given.side)
        row["ratio"] = row["planned_peak"] / row["measured_bytes"]
        rows.append(row)
        print(f"{name:26} planned {row['planned_peak'] / 1e6:7.0f} MB  measured {row['measured_bytes'] / 1e6:7.0f} MB  "
              f"ratio {row['ratio']:.2f}  step {row['step_seconds']:.0f} s, {row['step_bytes'] / 1e6:.0f} MB, "
              f"{row['tokens']} tokens", flush=True)  # fmt: skip
        note = "complete" if len(rows) == len(CASES) else f"partial: {len(rows)} of {len(CASES)} cases"
        if is_real:
            notes = f"{note}; bar: ratio within {1 - BAR:g} to {1 + BAR:g}; seconds under other work are no timing"
            save("high_resolution", rows, command="python benchmarks/high_resolution.py", notes=notes)


if __name__ == "__main__":
    main()
