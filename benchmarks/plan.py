"""Planned against measured memory on the CPU: the peak of a real run above what the imports took, in a fresh process.

Bar: within 20 %. Every case trains two short epochs with validation and checkpoints on generated pictures. The peak is
the kernel's (`ru_maxrss`), so other work on the machine does not disturb it. `python benchmarks/plan.py [CASE ...]`
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import finished, save
from PIL import Image

VIT = {"kind": "timm", "name": "vit_tiny_patch16_224", "pretrained": "none"}
RESNET = {"kind": "timm", "name": "resnet18", "pretrained": "none"}
CASES: dict[str, dict[str, Any]] = {
    "convnet-32": {"size": (32, 32), "batch": 128, "channels_last": True, "backbone": {"kind": "convnet"}},
    "convnet-128-bf16": {"size": (128, 128), "batch": 64, "precision": "bf16", "backbone": {"kind": "convnet"}},
    "convnet-128-bf16-channels-last": {
        "size": (128, 128), "batch": 64, "precision": "bf16", "channels_last": True, "backbone": {"kind": "convnet"}
    },
    "resnet18-224": {"size": (224, 224), "batch": 16, "backbone": RESNET},
    "resnet18-224-channels-last-bf16": {
        "size": (224, 224), "batch": 16, "backbone": RESNET, "channels_last": True, "precision": "bf16"
    },
    "resnet18-224-micro-4": {"size": (224, 224), "batch": 16, "micro": 4, "backbone": RESNET, "ema": 0.99},
    "vit-tiny-224": {"size": (224, 224), "batch": 16, "backbone": VIT},
    "vit-tiny-224-bf16": {"size": (224, 224), "batch": 16, "precision": "bf16", "backbone": VIT},
    "vit-tiny-224-checkpointing": {"size": (224, 224), "batch": 16, "backbone": VIT, "checkpointing": True},
    "mobilenetv2-224": {
        "size": (224, 224), "batch": 16, "backbone": {"kind": "timm", "name": "mobilenetv2_100", "pretrained": "none"}
    },
    "vgg-128x256": {
        "size": (128, 256), "batch": 4, "backbone": {"kind": "vgg"}, "head": {"hidden": [2048, 1024], "dropout": 0.5}
    },
}  # fmt: skip


def recipe_of(case: dict[str, Any]) -> Any:
    """With everything decided that is measured otherwise."""
    from obverse.recipe import build_recipe

    height, width = case["size"]
    batch = case["batch"]
    return build_recipe(
        {
            "data": {"size": {"height": height, "width": width}, "split": {"train": 0.7, "val": 0.3, "test": 0.0}},
            "augment": {"policy": "none"},
            "model": {"backbone": case["backbone"], "head": case.get("head", {})},
            "optim": {"lr": 1e-4},
            "training": {
                "epochs": 2,
                "batch_size": batch,
                "micro_batch_size": case.get("micro", batch),
                "ema_decay": case.get("ema", 0.0),
            },
            "runtime": {
                "device": "cpu",
                "precision": case.get("precision", "fp32"),
                "channels_last": case.get("channels_last", False),
                "checkpointing": case.get("checkpointing", False),
                "compile": False,
                "num_workers": 0,
            },
            "evaluation": {"batch_size": batch},
        },
        "benchmark",
    )


def draw(folder: Path, case: dict[str, Any]) -> None:
    """Enough noise for three batches of training and one of validation, in two classes."""
    rng = np.random.default_rng(0)
    for number in range(5 * case["batch"]):
        path = folder / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*case["size"], 3), dtype=np.uint8)).save(path)


def measure(name: str, folder: Path) -> dict[str, float]:
    """In this process: train and look at the peak above the baseline after imports and indexing."""
    import torch._dynamo  # noqa: F401  (by torch's optimizers at their first step; 160 MB that are no part of a plan)

    from obverse.experiment.auto import resolve
    from obverse.experiment.auto.tune import tune
    from obverse.experiment.setup import build_model, describe, set_up
    from obverse.manifest import build_index
    from obverse.training import Trainer

    recipe = recipe_of(CASES[name])
    index = build_index(folder, recipe.data)
    resolved = resolve(recipe, index)
    baseline = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    model, bundle = build_model(resolved.recipe, index.manifest), describe(resolved.recipe, index.manifest)
    recipe = tune(resolved, model, bundle, num_train=len(index.manifest.split("train")))
    setup = set_up(recipe, index.manifest, model=model)
    parts = (setup.engine(), recipe, setup.loaders())
    trainer = Trainer(*parts, objective=setup.objective, checkpoints=folder / "checkpoints")
    for _ in trainer.run():
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"measured_bytes": peak - baseline, "baseline_bytes": baseline}


def planned(name: str, folder: Path) -> dict[str, float]:
    """What `obverse plan` says."""
    from obverse.manifest import build_index
    from obverse.planning.plan import make_plan

    recipe = recipe_of(CASES[name])
    plan = make_plan(recipe, build_index(folder, recipe.data), device="cpu", gigabytes=1000)
    return {f"planned_{key}": value for key, value in plan.memory.__dict__.items()}


def in_fresh_process(what: str, name: str, folder: Path) -> dict[str, float]:
    """Run `measure` or `planned` alone."""
    command = [sys.executable, "-W", "ignore", __file__, f"--{what}", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """All cases, or those that are named."""
    wanted = sys.argv[1:] or list(CASES)
    rows = [row for row in finished("plan", "ratio") if row["case"] not in wanted]
    for name in wanted:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            draw(folder, CASES[name])
            row = {"case": name, **in_fresh_process("planned", name, folder)}
            row |= in_fresh_process("measure", name, folder)
            row["ratio"] = row["planned_peak"] / row["measured_bytes"]
            rows.append(row)
        print(f"{name:34} planned {row['planned_peak'] / 1e6:7.0f} MB  measured {row['measured_bytes'] / 1e6:7.0f} MB  "
              f"ratio {row['ratio']:.2f}", flush=True)  # fmt: skip
        note = "complete" if len(rows) == len(CASES) else f"partial: {len(rows)} of {len(CASES)} cases"
        save("plan", rows, command="python benchmarks/plan.py", notes=f"{note}; bar: ratio within 0.8 to 1.2")


if __name__ == "__main__":
    if sys.argv[1:2] in (["--measure"], ["--planned"]):
        work = measure if sys.argv[1] == "--measure" else planned
        print(json.dumps(work(sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
