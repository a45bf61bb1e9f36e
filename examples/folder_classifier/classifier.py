"""A classifier from a folder of pictures. `python classifier.py --generate-data` draws a set to try it on.

train.py and predict.py use what stands here. Thin on top of Obverse: `obverse train data --recipe finetune` does the
same, and more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from obverse.errors import DataError, ObverseError, OutputError
from obverse.imaging import read_picture
from obverse.manifest.generated import generate_shapes
from obverse.recipe import ALIASES, Recipe, load_recipe

if TYPE_CHECKING:
    from obverse import Prediction
    from obverse.experiment import RunResult

DATA = "data"
RUNS = "runs"
SAMPLE = "sample.jpg"
MODEL = "vit-base"  # or vit-small, vit-large, or any name of timm; `scratch` trains a small network from scratch


def generate_data(folder: str = DATA, *, samples: int = 800, size: int = 64) -> None:
    """Coloured shapes, one folder per class, and sample.jpg for a first prediction."""
    if Path(SAMPLE).exists():
        raise OutputError(f"{SAMPLE} exists, and the set brings its own: move it or delete it first")
    drawn = generate_shapes(Path(folder), num_samples=samples, size=size)
    shutil.copyfile(drawn.sample, SAMPLE)
    print(f"{drawn.num_samples} pictures of {len(drawn.classes)} classes in {folder}, and {SAMPLE}")


def choose_recipe(model: str, weights: str, epochs: int, settings: list[str]) -> tuple[Recipe, str]:
    """The recipe, and a sentence that says what it is. Without weights at hand it is a network from scratch."""
    from obverse.models import require_known, why_unavailable

    reason = "asked for"
    if model != "scratch":
        require_known(ALIASES.get(model, model))
    if model != "scratch" and weights == "hub":
        reason = why_unavailable(ALIASES.get(model, model)) or ""
    if model == "scratch" or (weights == "hub" and reason):
        ways = "" if model == "scratch" else "; give a weight file with --weights to fine-tune a ViT"
        return load_recipe(
            "auto", ["model.backbone={kind: convnet}", f"training.epochs={epochs}", *settings]
        ), f"from scratch: {reason}{ways}"
    if weights == "none":
        backbone = f"model.backbone={{kind: timm, name: {model}, pretrained: none}}"
        return load_recipe(
            "auto", [backbone, f"training.epochs={epochs}", *settings]
        ), f"{model} from scratch: asked for"
    fine = [f"model.backbone.name={model}", f"model.backbone.pretrained={weights}"]
    if epochs < 10:  # what the recipe is meant for
        fine += [f"schedule.warmup_epochs={epochs / 10}"]
    fine += [f"training.epochs={epochs}", *settings]
    return load_recipe("finetune", fine), f"fine-tuning {model}, weights from {weights}"


def train(data: str, recipe: Recipe) -> RunResult:
    """Train and evaluate in a new folder below RUNS."""
    from obverse.experiment import start_run
    from obverse.runs import RunFolder
    from obverse.runs.observers import ConsoleObserver

    run = RunFolder(Path(RUNS) / f"classifier_{datetime.now():%Y%m%d_%H%M%S}")
    return start_run(Path(data), recipe, run, observers=[ConsoleObserver()])


def newest_run() -> Path:
    """The run that finished last; DataError when there is none."""
    finished = [path.parent.parent for path in Path(RUNS).glob("classifier_*/bundle/model.json")]
    if not finished:
        raise DataError(f"no trained model in {RUNS}/: run `python train.py` first, or give one with --model")
    return max(finished, key=lambda path: path.name)


def draw_prediction(picture: str | Path, prediction: Prediction, out: str) -> None:
    """The picture, and beside it the classes with their probabilities."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(read_picture(picture, min_height=400, min_width=400))
    left.set_axis_off()
    names, probabilities = zip(*reversed(prediction.top), strict=True)
    bars = right.barh(names, [100 * value for value in probabilities])
    right.bar_label(bars, fmt="%.1f %%")
    right.set(xlim=(0, 115), xlabel="softmax, %")
    figure.savefig(out)


def end_well(main: Callable[[], None]) -> None:
    """Run a script; what the user can mend is one sentence and an exit code."""
    try:
        main()
    except ObverseError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def main() -> None:
    """`python classifier.py --generate-data`."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--generate-data", action="store_true", help=f"draw a set into {DATA}/, and sample.jpg")
    parser.add_argument("--samples", type=int, default=800)
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    arguments = parser.parse_args()
    if not arguments.generate_data:
        parser.error("say --generate-data; to train: python train.py, to predict: python predict.py --image FILE")
    generate_data(samples=arguments.samples, size=arguments.size)


if __name__ == "__main__":
    end_well(main)
