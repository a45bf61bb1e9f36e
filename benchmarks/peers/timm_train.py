"""timm's own train.py on a ResNet-18 from scratch, as its documentation calls it, in a time budget.

    TIMM_SOURCE=checkout PYTHON timm_train.py FOLDER OUT.json --minutes 3 --seed 0 --size 224

train.py knows epochs, not minutes: one epoch is timed first, outside the budget, and as many as fit are then trained;
one where none fits.
Documented defaults, except AdamW at 1e-3 instead of SGD at a rate for ImageNet, and a warm-up of a tenth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import timm
import torch
from common_peer import arguments, write_predictions
from timm.data import create_dataset, create_transform, resolve_model_data_config
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

BATCH = 64


def train(folder: Path, out: Path, epochs: int, seed: int, size: int) -> float:
    """Wall seconds of train.py."""
    source = Path(os.environ["TIMM_SOURCE"])
    classes = len(list((folder / "train").iterdir()))
    command = [sys.executable, source / "train.py", "--data-dir", folder, "--train-split", "train"]
    command += ["--val-split", "val", "--model", "resnet18", "--num-classes", classes, "--img-size", size]
    command += ["--input-size", 3, size, size, "--batch-size", BATCH, "--opt", "adamw", "--lr", 1e-3]
    command += ["--weight-decay", 0.05, "--epochs", epochs, "--warmup-epochs", epochs // 10, "--workers", 2]
    command += ["--device", "cpu", "--seed", seed, "--output", out, "--experiment", "run", "--checkpoint-hist", 1]
    start = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(source)}
    subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as scratch:

        def trained(epochs: int) -> float:
            return train(options.folder, Path(scratch) / str(epochs), epochs, options.seed, options.size)

        epochs, once = 1, trained(1)
        if once < 60 * options.minutes:
            # Two lengths tell the start-up from an epoch.
            epoch = max(trained(2) - once, 0.1)
            epochs = max(1, int((60 * options.minutes - (once - epoch)) / epoch))
            if epochs > 2:
                trained(epochs)
        weights = torch.load(Path(scratch) / str(epochs) / "run" / "model_best.pth.tar", weights_only=False)
    # timm numbers classes in natural order (2, 10), torchvision by letters.
    numbers = create_dataset("", options.folder / "train").reader.class_to_idx
    classes = sorted(numbers, key=numbers.__getitem__)
    model = timm.create_model("resnet18", num_classes=len(classes)).eval()
    model.load_state_dict(weights["state_dict"])
    config = {**resolve_model_data_config(model), "input_size": (3, options.size, options.size)}
    test = ImageFolder(options.folder / "test", create_transform(**config))
    with torch.no_grad():
        guesses = [guess for images, _ in DataLoader(test, BATCH) for guess in model(images).argmax(1).tolist()]
    write_predictions(options, [path for path, _ in test.samples], [classes[guess] for guess in guesses])
    print(json.dumps({"epochs": epochs}))


if __name__ == "__main__":
    main()
