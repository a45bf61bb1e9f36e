"""Grade coins from 2:1 photographs with a VGG-style network from scratch: `python coin_classifier_custom.py`.

Reads   dataset.csv of prepare_dataset.py, or images/<grade>/6000x3000/ when there is none
Writes  coin_classifier_custom_best.pth  runs/coin_custom_YYYYMMDD_HHMMSS/ (report, checkpoints, bundle, TensorBoard)

Thin on top of Obverse: the recipe is the shipped `coins-rectangular`, and the constants below change it.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import torch

from obverse.bundle import read_bundle
from obverse.errors import Interrupted, ObverseError
from obverse.experiment import resume_run, start_run
from obverse.export import write_pth
from obverse.models import Classifier, build_classifier
from obverse.recipe import Recipe, load_recipe
from obverse.runs import RunFolder
from obverse.runs.checkpoint import load_newest
from obverse.runs.observers import ConsoleObserver

IMAGE_WIDTH = 512
IMAGE_HEIGHT = 256
BATCH_SIZE = 4
NUM_EPOCHS = 50
LEARNING_RATE = 1e-3
# Everything else the recipe can say, for example ["model.head.dropout=0.7", "augment.rotation_degrees=15"].
SETTINGS: list[str] = []
# An interrupted run, for example "runs/coin_custom_20260131_120000": it goes on where it was, with its own settings.
RESUME = ""
DATASET, IMAGES = "dataset.csv", "images"
CHECKPOINT = "coin_classifier_custom_best.pth"


def recipe() -> Recipe:
    """The shipped recipe with the constants above."""
    settings = [
        f"data.size={{height: {IMAGE_HEIGHT}, width: {IMAGE_WIDTH}}}",
        f"optim.lr={LEARNING_RATE}",
        f"training.epochs={NUM_EPOCHS}",
        f"training.batch_size={BATCH_SIZE}",
    ]
    return load_recipe("coins-rectangular", [*settings, *SETTINGS])


class CoinClassifier(Classifier):
    """The network of the recipe: 148,683,082 parameters at 10 classes and 512x256; sizes are computed, never typed."""

    def __init__(self, num_classes: int) -> None:
        size = {"height": IMAGE_HEIGHT, "width": IMAGE_WIDTH}
        built = build_classifier(recipe().model, num_views=1, num_classes=num_classes, **size)
        # Become what was built, so that weights have the same names here and in the run's bundle.
        self.__dict__.update(built.__dict__)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of normalised pictures (B, 3, IMAGE_HEIGHT, IMAGE_WIDTH)."""
        return super().forward(images[:, None], torch.ones(len(images), 1, dtype=torch.bool, device=images.device))


def main() -> None:
    """Train, evaluate, and write the checkpoint."""
    if RESUME:
        run = RunFolder(Path(RESUME))
        result = resume_run(run, observers=[ConsoleObserver()])
    else:
        run = RunFolder(Path("runs") / f"coin_custom_{datetime.now():%Y%m%d_%H%M%S}")
        data = Path(DATASET) if Path(DATASET).exists() else Path(IMAGES)
        result = start_run(data, recipe(), run, observers=[ConsoleObserver()])
    write_checkpoint(Path(CHECKPOINT), run)
    accuracy = result.metrics["accuracy"]
    split = result.metrics["split"].capitalize()  # val, where nobody is in test
    print(f"{split} accuracy: {accuracy['value']:.2%} (95 % interval {accuracy['low']:.2%} to {accuracy['high']:.2%})")
    print(f"Report: {result.report}")


def write_checkpoint(path: Path, run: RunFolder) -> None:
    """The best weights, with the optimizer as it was at the end of training."""
    bundle, classifier = read_bundle(run.path)
    log = json.loads((run.path / "training_log.json").read_text(encoding="utf-8"))
    newest, _ = load_newest(run.checkpoints)
    more = {
        "epoch": log["best_epoch"],
        "best_accuracy": next(row["val_accuracy"] for row in log["epochs"] if row["epoch"] == log["best_epoch"]),
        "optimizer_state_dict": newest.optimizer if newest else {},
    }
    write_pth(path, bundle, classifier, more=more)


if __name__ == "__main__":
    try:
        main()
    except ObverseError as error:
        print(f"Error: {error}", file=sys.stderr)
        if isinstance(error, Interrupted):
            print('In this script: RESUME = "runs/coin_custom_..."', file=sys.stderr)
        sys.exit(error.exit_code)
