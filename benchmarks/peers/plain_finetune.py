"""A plain fine-tune: one timm model per view on all training pictures, the views' probabilities averaged.

    PYTHON plain_finetune.py TABLE.csv OUT.json --weights FILE --name MODEL [--size 112] [--steps 312] [--seed 0]

TABLE has a column `label`, a column `split` (train, test) and one column of paths for each view. OUT gets the classes
and, for every test row in order, the mean probabilities. What a careful user writes by hand with timm: squashed
pictures, mirrored at random, AdamW, a short warm-up and a cosine; no part of Obverse is used.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed
from torch.nn import functional

BATCH, RATE, DECAY, SMOOTHING, DROP_PATH, WARMUP = 16, 2e-4, 0.05, 0.1, 0.1, 0.1


def network(name: str, weights: Path, size: int, num_classes: int) -> torch.nn.Module:
    """The pretrained network with a new classifier, batch norm as it is where it has been folded away."""
    is_vit = name.startswith("vit")
    own = {"img_size": size, "drop_path_rate": DROP_PATH} if is_vit else {"pad_type": "same"}
    if not is_vit:
        own["drop_path_rate"] = DROP_PATH
    net = timm.create_model(name, num_classes=num_classes, **own)
    state = {key: value for key, value in load_file(weights).items() if not key.startswith(("classifier", "head."))}
    if is_vit:
        grid = net.patch_embed.grid_size
        state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], list(grid))
    missing = net.load_state_dict(state, strict=False).missing_keys
    assert all(key.startswith(("classifier", "head.")) or "num_batches" in key for key in missing), missing
    return net


def pixels(paths: list[str], size: int) -> torch.Tensor:
    """(N, 3, size, size), squashed, from -1 to 1: both weight files want mean and deviation 0.5."""
    pictures = [Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC) for path in paths]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2) / 127.5 - 1


def fine_tune(net: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: int, frozen_norm: bool) -> None:
    """Train everything for a number of steps."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    order: list[int] = []
    for step in range(steps):
        done = step / steps
        rate = min(1.0, (step + 1) / (WARMUP * steps)) * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate
        net.train()
        for module in net.modules():
            if frozen_norm and isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        if len(order) < BATCH:
            order += torch.randperm(len(images)).tolist()
        rows, order = order[:BATCH], order[BATCH:]
        part = images[rows]
        mirrored = torch.rand(len(part)) < 0.5
        part = torch.where(mirrored[:, None, None, None], part.flip(-1), part)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(net(part), labels[rows], label_smoothing=SMOOTHING).backward()
        optimizer.step()


@torch.inference_mode()
def answers(net: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Probabilities (N, K)."""
    net.eval()
    return torch.cat([net(part).softmax(1) for part in images.split(64)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--steps", type=int, default=312)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rows = list(csv.DictReader(options.table.open()))
    views = [name for name in rows[0] if name not in ("label", "split", "id")]
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["split"] == "test"]
    classes = sorted({row["label"] for row in train})
    labels = torch.tensor([classes.index(row["label"]) for row in train])
    root, total = options.table.parent, torch.zeros(len(test), len(classes))
    for view in views:
        net = network(options.name, options.weights, options.size, len(classes))
        images = pixels([root / row[view] for row in train], options.size)
        fine_tune(net, images, labels, options.steps, frozen_norm="mobilenet" in options.name)
        total += answers(net, pixels([root / row[view] for row in test], options.size)) / len(views)
    options.out.write_text(json.dumps({"classes": classes, "probabilities": total.tolist()}))


if __name__ == "__main__":
    main()
