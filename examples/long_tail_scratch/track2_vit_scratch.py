"""Train the long-tail recipe and lay its results out as the document wants them, in one folder:

config.json  best_model.pth  predictions.npy  true_labels.npy  names.json  results.csv  attention_maps/  embeddings.npy
training_log.json  summary.md

    python track2_vit_scratch.py DATA [--out results/track2_vit_scratch] [--recipe FILE] [--set optim.lr=1e-3] ...

The run folder lies in OUT/run. Stopped or killed: the same command goes on. All arrays are in the order of ids.json.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

# Of the run folder: where it is, and what it is called here.
FILES = {
    "config.json": "config.json",
    "training_log.json": "training_log.json",
    "training_history.png": "training_history.png",
    "bundle/best_model.pth": "best_model.pth",
}
OF_TEST = (
    *("predictions.npy", "true_labels.npy", "probabilities.npy", "embeddings.npy", "ids.json", "names.json"),
    *("results.csv", "metrics.json", "confusion_matrix.png", "summary.md", "report.html"),
)


def obverse(*arguments: object) -> None:
    """Run the command; its exit code is ours."""
    done = subprocess.run([sys.executable, "-m", "obverse.cli.main", *map(str, arguments)])
    if done.returncode:
        sys.exit(done.returncode)


def train(data: Path, run: Path, recipe: str, settings: list[str]) -> None:
    """Begin the run, or go on with it."""
    if (run / "recipe.yaml").is_file():
        obverse("train", "--run", run, "--resume")
    else:
        changes = [part for setting in settings for part in ("--set", setting)]
        obverse("train", data, "--run", run, "--recipe", recipe, *changes)
    if not (run / "bundle" / "best_model.pth").is_file():
        obverse("export", run, "--format", "pth")


def lay_out(run: Path, out: Path) -> None:
    """Copy what the document names out of the run folder."""
    test = run / "evaluation" / "test"
    wanted = {run / source: out / name for source, name in FILES.items()}
    wanted |= {test / name: out / name for name in OF_TEST}
    for source, target in wanted.items():
        shutil.copyfile(source, target)
    shutil.rmtree(out / "attention_maps", ignore_errors=True)
    shutil.copytree(test / "attention_maps", out / "attention_maps")
    summary = (out / "summary.md").read_text(encoding="utf-8")
    (out / "summary.md").write_text(summary.replace("(../../training_history.png)", "(training_history.png)"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results/track2_vit_scratch"))
    parser.add_argument("--recipe", default="long-tail-scratch")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    run = arguments.out / "run"
    train(arguments.data, run, arguments.recipe, arguments.settings)
    lay_out(run, arguments.out)
    print(f"results: {arguments.out / 'summary.md'}")


if __name__ == "__main__":
    main()
