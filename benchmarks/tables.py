"""The table of tables: what each result measures, its command, its last date and commit, and which results are stale.

python benchmarks/tables.py            # stale results: how many lines of the code they measure changed since
python benchmarks/tables.py --write    # write README.md of this folder
"""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import RESULTS

FOLDER = Path(__file__).parent
SOURCE = "src/obverse"
READING = ("imaging", "manifest")
LEARNING = ("data", "imaging", "losses", "models", "planning", "probing", "recipe", "recipes", "training")
JUDGING = ("decisions", "metrics", "trust")


@dataclass(frozen=True)
class Table:
    """What a result file is about."""

    subject: str
    rooms: tuple[str, ...]


TABLES = {
    "attention": Table("Attention in bf16 in training, beside torch's kernel", ("runtime/attention.py",)),
    "check": Table("What `obverse check` finds, how fast, in how much memory", (*READING, "trust")),
    "code_size": Table("Median and longest function, longest file", ("",)),
    "coins": Table("Generated two-view coins: both views, and one view against its bound", LEARNING),
    "coins_600": Table("The same with 600 coins", LEARNING),
    "conformal": Table("Prediction sets by simulation, beside MAPIE and contiguous APS", ("decisions",)),
    "decode": Table("Decoding and resizing against Pillow", ("imaging",)),
    "engines": Table("A ViT-B/16 by engine and number format, beside eager torch", ("engines", "export/quantising")),
    "evaluation": Table("Evaluation with report, beside the bare forward pass", ("engines", "evaluation", "report")),
    "explain": Table("Faithfulness of explanation maps", ("explain",)),
    "export": Table("Differences between torch and exported graphs", ("export", "data/geometry.py")),
    "few_pairs": Table("Pretrained weights and 13 samples a class, beside a plain fine-tune", LEARNING),
    "fresh": Table("Accepted errors on fresh pictures", JUDGING),
    "from_scratch": Table("CIFAR-10 from scratch in 600 processor seconds", LEARNING),
    "fusions": Table("What fusions of views can learn", ("data", "models")),
    "high_resolution": Table("Pairs of 1008x1008: measured memory beside the plan", ("planning", "training")),
    "hostile": Table("Time and memory of hostile pictures", ("imaging",)),
    "index": Table("The index at 434,528 pictures", ("manifest",)),
    "intervals": Table("Coverage of intervals and size of tests, by simulation", ("metrics",)),
    "label_set_studies": Table("The same for label sets and folds", ("metrics", "studies")),
    "loading": Table("Loading against torchvision's usual way", ("data", "imaging")),
    "large_pictures": Table("6000x3000 photographs to a trained network", ("data", "imaging", "training")),
    "long_tail": Table("Remedies for uneven classes", ("losses", "decisions")),
    "long_tail_lora": Table("The recipe `long-tail-lora` and its parts", LEARNING),
    "long_tail_study": Table("The long-tail study on small sets", ("losses", "studies")),
    "ordinal": Table("Losses for ordered classes", ("losses", "metrics")),
    "outliers": Table("The outlier score on foreign pictures", JUDGING),
    "pictures_per_class": Table("Accuracy against pictures per class", LEARNING),
    "plan": Table("Planned against measured memory", ("planning", "training")),
    "predict": Table("Many pictures: rate beside the bare engine, and memory", ("inference",)),
    "probing": Table("Seconds of `obverse probe`", ("probing",)),
    "promises": Table("Promises of acceptance and sets on real pictures", JUDGING),
    "real_sets": Table("`obverse train` on four public sets", LEARNING),
    "quantised": Table("Size, speed and accuracy of quantised files", ("export", "api/quantising.py")),
    "rectangular": Table("Networks for 2:1 frames", ("data", "models")),
    "rehearsal": Table("The long-tail study at its design size", ("manifest", "training", "evaluation")),
    "report_page": Table("Size and opening time of a large report", ("report", "evaluation/page")),
    "rivals": Table("Beside what people use today, three minutes a run", LEARNING),
    "rivals_runs": Table("The single runs of `rivals`", LEARNING),
    "serve": Table("Load on `obverse serve`", ("serving", "inference")),
    "shapes": Table("Generated shapes, five epochs", LEARNING),
    "slices": Table("Planted weak slices", ("trust/slices",)),
    "startup": Table("Waiting for `--help`, one answer and the first step", ("",)),
    "suspects": Table("Wrong labels that are found", ("probing", "trust")),
    "training_speed": Table("Training on a CPU beside a plain loop", ("data", "engines", "runtime", "training")),
    "transfer": Table("MobileNetV2 weights on trashnet", LEARNING),
    "trust": Table("Calibration beside temperature and probmetrics", ("decisions/calibration",)),
}


def result(name: str) -> dict[str, Any]:
    """The result file; empty where the table was not measured yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def readme() -> str:
    """Text of README.md."""
    lines = [
        "# Benchmarks",
        "",
        "A script per table; each says in its first lines what it measures, on which data, and how to run it. Results",
        "are JSON files in `results/`, every one with its date, commit, processor and command; `docs/results.md`",
        "discusses them. `common.py` is what all scripts share, `peers/` are the programs beside which Obverse is",
        "measured, `gpu/` is for a machine with a GPU. Timings want an idle machine; one with more",
        "instructions can stand in for a class of processor, as `ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2`",
        "does, and the row says so (only oneDNN and torch's own kernels are kept to it). This page is written by",
        "`tables.py --write`; `make bench-stale` names the results whose code has changed since they were measured,",
        "and `make bench-quick` prints ratios of speed in about ten minutes.",
        "",
        "| Result | Subject | Command | Measured | Commit |",
        "|---|---|---|---|---|",
    ]
    for name, table in sorted(TABLES.items()):
        known = result(name)
        command = f"`{known['command'].replace('|', '&#124;')}`" if known else f"`python benchmarks/{name}.py`"
        date, commit = known.get("date", "not yet"), known.get("commit", "")[:7]
        lines.append(f"| {name} | {table.subject} | {command} | {date} | {commit} |")
    return "\n".join(lines) + "\n"


def num_changed(commit: str, rooms: tuple[str, ...]) -> int | None:
    """Lines of the rooms that were added or removed since the commit; None where history has no such commit."""
    paths = [f"{SOURCE}/{room}" for room in rooms]
    command = ["git", "diff", "--numstat", commit, "HEAD", "--", *paths]
    process = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    if process.returncode:
        return None
    counts = [line.split("\t")[:2] for line in process.stdout.splitlines()]
    return sum(int(added) + int(removed) for added, removed in counts if added.isdigit())


def stale() -> list[tuple[int, str]]:
    """Changed lines and a sentence, for every measured table whose code changed; the most first."""
    found = []
    for name, table in TABLES.items():
        known = result(name)
        if not known:
            continue
        commits = {row.get("commit") or known["commit"] for row in known["rows"]}
        changes = [num_changed(commit, table.rooms) for commit in sorted(commits)]
        lines = max((change for change in changes if change is not None), default=0)
        rooms = ", ".join(table.rooms).strip() or "all rooms"
        if None in changes:
            found.append((lines, f"{name}: a row's commit is not in history"))
        elif lines:
            found.append((lines, f"{name}: {lines:,} lines changed since its oldest row, in {rooms}"))
    return sorted(found, reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        (FOLDER / "README.md").write_text(readme())
    for _, sentence in stale():
        print(sentence)


if __name__ == "__main__":
    main()
