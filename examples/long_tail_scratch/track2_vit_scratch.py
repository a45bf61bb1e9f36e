"""Train the long-tail recipe and lay its results out as the document wants them, in one folder:

config.json  best_model.pth  predictions.npy  true_labels.npy  names.json  results.csv  attention_maps/  embeddings.npy
training_log.json  summary.md

    python track2_vit_scratch.py DATA [--out results/track2_vit_scratch] [--recipe FILE] [--set optim.lr=1e-3] ...

The run folder lies in OUT/run. Stopped or killed: the same command goes on, and another one is refused. All arrays are
in the order of ids.json. They are of test, or of val where the recipe keeps no test split.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from obverse.manifest import full_path

# Of the run folder: where it is, and what it is called here.
FILES = {
    "config.json": "config.json",
    "training_log.json": "training_log.json",
    "training_history.png": "training_history.png",
    "bundle/best_model.pth": "best_model.pth",
}
EVALUATED = (
    *("predictions.npy", "true_labels.npy", "probabilities.npy", "embeddings.npy", "ids.json", "names.json"),
    *("results.csv", "metrics.json", "confusion_matrix.png", "summary.md", "report.html", "attention_maps"),
)
# The recipe can turn these off.
OPTIONAL = ("embeddings.npy", "attention_maps")


def obverse(*arguments: object) -> None:
    """Run the command; its exit code is ours."""
    done = subprocess.run([sys.executable, "-m", "obverse.cli.main", *map(str, arguments)])
    if done.returncode:
        sys.exit(done.returncode)


def refuse(sentence: str, code: int) -> NoReturn:
    """End as the command does."""
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(code)


def train(data: Path, run: Path, recipe: str, settings: list[str]) -> None:
    """Begin the run, or go on with it when it is the one that is asked for."""
    file = Path(recipe)
    asked = {
        "data": full_path(data),
        "recipe": file.read_text(encoding="utf-8") if file.is_file() else recipe,
        "settings": settings,
    }
    told = run.parent / "command.json"
    if (run / "recipe.yaml").is_file():
        if not told.is_file() or json.loads(told.read_text(encoding="utf-8")) != asked:
            refuse(f"{run} was begun with another DATA, --recipe or --set; choose another --out", 2)
        obverse("train", "--run", run, "--resume")
    else:
        try:
            told.parent.mkdir(parents=True, exist_ok=True)
            told.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            refuse(f"{told} cannot be written: {error.strerror}; choose another --out", 73)
        changes = [part for setting in settings for part in ("--set", setting)]
        obverse("train", data, "--run", run, "--recipe", recipe, *changes)
    if not (run / "bundle" / "best_model.pth").is_file():
        obverse("export", run, "--format", "pth")


def lay_out(run: Path, out: Path) -> None:
    """Copy what the document names out of the run folder."""
    tested = run / "evaluation" / "test"
    evaluation = tested if tested.is_dir() else run / "evaluation" / "val"
    wanted = {run / source: out / name for source, name in FILES.items()}
    wanted |= {evaluation / name: out / name for name in EVALUATED}
    for source, target in wanted.items():
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists() or target.name not in OPTIONAL:
            shutil.copyfile(source, target)
    summary = (out / "summary.md").read_text(encoding="utf-8")
    summary = summary.replace("(../../training_history.png)", "(training_history.png)")
    (out / "summary.md").write_text(summary, encoding="utf-8")


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
