"""Pictures per second of `obverse train` on a GPU, beside a bare loop over batches that already lie in its memory.

The bare loop is what no training with a loader can beat: the same timm network in bf16 with fused AdamW and no data.
A ratio near 1 and a small data wait say that training is bound by the model; the peak of the GPU's
memory stands beside what `obverse plan` says (bar: within 20 %). Pictures are generated.
    python benchmarks/gpu/throughput.py WORK_FOLDER [CASE...] [--device cpu --samples 8: only to see that it runs]
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import OBVERSE, finished, obverse, save, with_settings

VIEWS = {1: ("image",), 2: ("obverse", "reverse")}
# A timm network, (height, width) of its input, samples a step, samples of the set; views is 1 where not said.
CASES: dict[str, dict[str, Any]] = {
    "vit-b-224": {"name": "vit_base_patch16_224", "size": (224, 224), "batch": 256, "samples": 8192},
    "resnet50-224": {"name": "resnet50", "size": (224, 224), "batch": 256, "samples": 8192},
    "resnet50-256x512": {"name": "resnet50", "size": (256, 512), "batch": 64, "samples": 4096},
    "two-view-vit-b-1008": {
        "name": "vit_base_patch16_224",
        "size": (1008, 1008),
        "batch": 4,
        "samples": 128,
        "views": 2,
        "checkpointing": True,
    },
}
PICTURE = (384, 512)


def draw(folder: Path, num_samples: int, views: int, height: int, width: int) -> Path:
    """JPEGs of smooth noise, 64 different ones, as folders of classes (and of views)."""
    if folder.exists():
        return folder
    rng = np.random.default_rng(0)
    height, width = max(height, PICTURE[0]), max(width, PICTURE[1])
    files = []
    for _ in range(64):
        noise = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    for number in range(num_samples):
        for place, view in enumerate(VIEWS[views]):
            parts = (f"class{number % 4}", view) if views > 1 else (f"class{number % 4}",)
            path = folder.joinpath(*parts, f"{number:06}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            # A comment of its own makes every file another one, so that none is a duplicate.
            comment = f"{number} {place}".encode()
            jpeg = files[(number + place) % len(files)]
            path.write_bytes(jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:])
    return folder


def settings_of(case: dict[str, Any], device: str) -> list[str]:
    height, width = case["size"]
    checkpointing = str(case.get("checkpointing", False)).lower()
    return with_settings(
        f"data.size={{height: {height}, width: {width}}}",
        "data.split={train: 0.8, val: 0.2, test: 0.0}",
        f"model.backbone={{kind: timm, name: {case['name']}, pretrained: none}}",
        f"training.batch_size={case['batch']}",
        "training.epochs=3",
        "schedule.warmup_epochs=0",
        "loss.kind=cross-entropy",
        f"runtime.device={device}",
        f"runtime.checkpointing={checkpointing}",
    )


def bare(case: dict[str, Any], device: str) -> float:
    """Pictures per second of the same network without a loader, in a process of its own."""
    steps = case.get("steps", 20)
    code = f"""
import time, timm, torch
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = True
device, views, batch = {device!r}, {case.get("views", 1)}, {case["batch"]}
kwargs = {{"img_size": {case["size"]!r}}} if {case["name"]!r}.startswith("vit") else {{}}
model = timm.create_model({case["name"]!r}, num_classes=4, **kwargs).to(device, memory_format=torch.channels_last)
model.set_grad_checkpointing({case.get("checkpointing", False)})
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=device == "cuda")
images = torch.randn(views * batch, 3, *{case["size"]!r}, device=device).to(memory_format=torch.channels_last)
labels = torch.randint(0, 4, (views * batch,), device=device)
def step():
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device, torch.bfloat16):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return float(loss)
for _ in range({steps} // 4 or 1): step()
start = time.perf_counter()
for _ in range({steps}): step()
print({steps} * views * batch / (time.perf_counter() - start))
"""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def run_case(name: str, work: Path, device: str) -> dict[str, Any]:
    case = CASES[name]
    views = case.get("views", 1)
    data = draw(work / f"throughput-{case['samples']}-{views}-{case['size'][0]}", case["samples"], views, *case["size"])
    run = work / "runs" / f"throughput-{name}"
    settings = settings_of(case, device)
    planned = subprocess.run(
        [*OBVERSE, "plan", str(data), "--format", "json", "--device", device, *settings],
        check=True,
        capture_output=True,
        text=True,
    )
    start = time.perf_counter()
    obverse("train", data, "--run", run, *settings)
    log = json.loads((run / "training_log.json").read_text())
    last = log["epochs"][-1]
    alone = bare(case, device)
    return {
        "wall_seconds": round(time.perf_counter() - start, 1),
        "pictures_per_second": round(last["pictures_per_second"], 1),
        "bare_pictures_per_second": round(alone, 1),
        "ratio": round(last["pictures_per_second"] / alone, 3),
        "data_wait": round(last["data_wait"], 4),
        "peak_memory": log["facts"]["peak memory"],
        "planned": json.loads(planned.stdout),
        "settings": {key: log["facts"][key] for key in ("model", "precision", "input")},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--samples", type=int, help="samples and a step of two, to see that it runs")
    options = parser.parse_args()
    if options.samples:
        for case in CASES.values():
            case |= {"samples": options.samples, "batch": 2, "steps": 1}
    rows = finished("gpu_throughput", "key")
    for name in options.cases or CASES:
        if name not in {row["key"] for row in rows}:
            row = {"key": name, **run_case(name, options.work, options.device)}
            print(row)
            rows.append(row)
            if not options.samples:
                save("gpu_throughput", rows, command="python benchmarks/gpu/throughput.py WORK_FOLDER")


if __name__ == "__main__":
    main()
