"""Grade coins from obverse and reverse photographs: `python coin_classifier_vit.py`, with no arguments.

Reads   images/<grade>/{obverse,reverse}/<same file name>
Writes  models/coin_vit_dual_best.pth  models/history_vit.json  models/config_vit.json
        models/training_history_vit.png  runs/vit_dual_YYYYMMDD_HHMMSS/ (report, checkpoints, bundle, TensorBoard)

Thin on top of Obverse: the recipe is the shipped `coins-two-view`, and the constants below change it.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import torch
from torch.nn import functional

from obverse.bundle import Bundle, read_bundle
from obverse.data import Geometry
from obverse.errors import Interrupted, ObverseError, UnavailableError
from obverse.experiment import resume_run, start_run
from obverse.export import write_pth
from obverse.models import Classifier, build_classifier, input_needs, pinned
from obverse.recipe import Recipe, load_recipe
from obverse.runs import RunFolder
from obverse.runs.observers import ConsoleObserver

IMAGE_SIZE = 1000  # lies on a canvas of 1008, the next multiple of the patch; 800 and 768 need no canvas
BATCH_SIZE = 2  # pairs per forward pass; gradients are accumulated to 16 pairs
NUM_EPOCHS = 30
LEARNING_RATE = 1e-4
WEIGHT_DECAY = 0.01
NUM_WORKERS = 2
DEVICE = "auto"  # auto, cpu, cuda, cuda:1, mps
BACKBONE = "vit_base_patch16_224.augreg2_in21k_ft_in1k"
PRETRAINED = "hub"  # or the path of a weight file, or "none" to train from scratch
IMAGES = "images"
# An interrupted run, for example "runs/vit_dual_20260131_120000": it goes on where it was, with its own settings.
RESUME = ""

EFFECTIVE_BATCH = 16
VIEWS = ("obverse", "reverse")


def recipe() -> Recipe:
    """The shipped recipe with the constants above."""
    # Batch 2 at this rate is unstable: accumulate, and warm up over a tenth of the run.
    settings = [
        f"data.size={{height: {IMAGE_SIZE}, width: {IMAGE_SIZE}}}",
        f"model.backbone.name={BACKBONE}",
        f"model.backbone.pretrained={json.dumps(PRETRAINED)}",
        f"optim.lr={LEARNING_RATE}",
        f"optim.weight_decay={WEIGHT_DECAY}",
        f"schedule.warmup_epochs={NUM_EPOCHS / 10}",
        f"training.epochs={NUM_EPOCHS}",
        f"training.batch_size={max(EFFECTIVE_BATCH, BATCH_SIZE)}",
        f"training.micro_batch_size={BATCH_SIZE}",
        f"runtime.num_workers={NUM_WORKERS}",
        f"runtime.device={DEVICE}",
    ]
    return load_recipe("coins-two-view", settings)


class DualViTClassifier(Classifier):
    """The network of the recipe. Building it downloads nothing; `load_state_dict` brings the weights."""

    def __init__(self, num_classes: int) -> None:
        spec = recipe().model
        needs = input_needs(pinned(spec))
        size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE, "multiple": needs.multiple, "fit": "pad"}
        canvas = Geometry.for_multiple(**size)
        height, width = canvas.canvas_height, canvas.canvas_width
        built = build_classifier(
            spec, num_views=len(VIEWS), num_classes=num_classes, height=height, width=width, load_weights=False
        )
        # Become what was built, so that weights have the same names here and in the run's bundle.
        self.__dict__.update(built.__dict__)
        gray = (canvas.fill / 255 - torch.tensor(needs.mean)) / torch.tensor(needs.std)
        self._canvas, self._gray_C11 = (height, width), gray.view(-1, 1, 1)

    def forward(self, obverse: torch.Tensor, reverse: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of normalised pictures (B, 3, IMAGE_SIZE, IMAGE_SIZE); they are padded here."""
        images_BVCHW = torch.stack([self._padded(obverse), self._padded(reverse)], dim=1)
        present_BV = torch.ones(images_BVCHW.shape[:2], dtype=torch.bool, device=images_BVCHW.device)
        return super().forward(images_BVCHW, present_BV)

    def _padded(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Around the centre with the grey of training, as the bundle's geometry does."""
        spare_rows = self._canvas[0] - images_BCHW.shape[2]
        spare_columns = self._canvas[1] - images_BCHW.shape[3]
        if spare_rows < 0 or spare_columns < 0:
            raise ValueError(f"pictures of at most {self._canvas} (height, width), not {tuple(images_BCHW.shape[2:])}")
        left, top = spare_columns // 2, spare_rows // 2
        gray_C11 = self._gray_C11.to(images_BCHW)
        edges = (left, spare_columns - left, top, spare_rows - top)
        return functional.pad(images_BCHW - gray_C11, edges) + gray_C11


def main() -> None:
    """Train, evaluate, and write the files above."""
    if RESUME:
        run = RunFolder(Path(RESUME))
        result = resume_run(run, observers=[ConsoleObserver()])
    else:
        run = RunFolder(Path("runs") / f"vit_dual_{datetime.now():%Y%m%d_%H%M%S}")
        result = start_run(Path(IMAGES), recipe(), run, observers=[ConsoleObserver()])
    write_models(Path("models"), run)
    accuracy = result.metrics["accuracy"]
    split = result.metrics["split"].capitalize()  # val, where nobody is in test
    print(f"{split} accuracy: {accuracy['value']:.2%} (95 % interval {accuracy['low']:.2%} to {accuracy['high']:.2%})")
    print(f"Report: {result.report}")


def write_models(folder: Path, run: RunFolder) -> None:
    """The document's four files, from a finished run."""
    bundle, classifier = read_bundle(run.path)
    log = json.loads((run.path / "training_log.json").read_text(encoding="utf-8"))
    row = next(row for row in log["epochs"] if row["epoch"] == log["best_epoch"])
    best = {"epoch": log["best_epoch"], "best_accuracy": row["val_accuracy"]}
    write_pth(folder / "coin_vit_dual_best.pth", bundle, classifier, more=best)
    columns = {name: [row[name] for row in log["epochs"]] for name in log["epochs"][0]}
    write_json(folder / "history_vit.json", columns)
    write_json(folder / "config_vit.json", config_of(bundle) | best | {"run": str(run.path)})
    shutil.copyfile(run.path / "training_history.png", folder / "training_history_vit.png")


def config_of(bundle: Bundle) -> dict:
    """What was set, and which number is which grade. JSON turns the numbers into strings: read them with int()."""
    constants = {
        "IMAGE_SIZE": IMAGE_SIZE,
        "BATCH_SIZE": BATCH_SIZE,
        "NUM_EPOCHS": NUM_EPOCHS,
        "LEARNING_RATE": LEARNING_RATE,
        "WEIGHT_DECAY": WEIGHT_DECAY,
        "NUM_WORKERS": NUM_WORKERS,
        "DEVICE": DEVICE,
        "BACKBONE": BACKBONE,
        "PRETRAINED": PRETRAINED,
    }
    numbered = dict(enumerate(bundle.classes))
    return constants | {
        "class_to_idx": {name: number for number, name in numbered.items()},
        "idx_to_class": numbered,
        "mean": bundle.mean,
        "std": bundle.std,
    }


def write_json(path: Path, values: dict) -> None:
    """As text that people can read."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except ObverseError as error:
        print(f"Error: {error}", file=sys.stderr)
        if isinstance(error, Interrupted):
            print('In this script: RESUME = "runs/vit_dual_..."', file=sys.stderr)
        if isinstance(error, UnavailableError):
            print('In this script: PRETRAINED = "path/to/model.safetensors", or "none".', file=sys.stderr)
        sys.exit(error.exit_code)
