"""Pretrained weights and about 13 training samples a class: the default beside a plain fine-tune, three or five folds.

Sets: pairs of pictures of one class stand for the two sides of a coin (tomato_freshness with its order, euro_coins,
generated coins); trashnet and 30 characters of omniglot_small have one picture a sample. Up to 15 samples a class are
the test, the same in every fold; each fold draws other training samples from the rest.
    OBVERSE_REAL_DATA=... python benchmarks/few_pairs.py WORK_FOLDER [--weights cnn|vit] [--way WAY...] [--set SET...]
`--way autogluon` needs AUTOGLUON_PYTHON, the interpreter of an environment with `autogluon.multimodal`.
The small ViT is made by small_vit.py and expected in WORK_FOLDER/vit_tiny.safetensors.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from common import finished, obverse, processor_seconds, save, with_settings
from real_sets import unpack

from obverse.evaluation import Predictions
from obverse.manifest.generated import GRADES

NUM_TRAIN, SIZE = 13, 64
SIZES = (128, 224, 384)
# The default makes 60 passes over sets of this size; so does the plain fine-tune, in batches of 16.
PASSES, PLAIN_BATCH = 60, 16
PEERS = Path(__file__).parent / "peers"
# Generated coins cost nothing.
NUM_TEST = {"coins": 40}
ORDERED = {"tomato_freshness", "coins"}
PAIRED = {"tomato_freshness", "euro_coins", "coins"}
SETS = ("tomato_freshness", "euro_coins", "coins", "trashnet", "omniglot_small")
NAMES = {"cnn": "mobilenetv2_100", "vit": "vit_tiny_patch16_224"}
PLAIN = ("plain", *(f"plain {size} pixels" for size in SIZES))
CONTENDERS = ("plain", "default", "frozen")
# Ways of Obverse: settings on top of `obverse train DATA --weights FILE --size 64`.
WAYS: dict[str, list[str]] = {
    "default": [],
    # What the defaults were compared with (`docs/explanation/defaults.md`); `--way` names those to run.
    "no mirror": ["augment.policy=no-mirror"],
    "mirror": ["augment.policy=no-mirror", "augment.mirror=0.5"],
    "generic": ["augment.policy=generic"],
    "separate": ["model.sharing=separate", "model.fusion.kind=concat"],
    "average": ["model.sharing=separate", "model.fusion.kind=average"],
    "rate 2e-4": ["training.batch_size=16", "optim.lr=2e-4"],
    "rate 5e-4": ["training.batch_size=16", "optim.lr=5e-4"],
    "refit": ["training.refit=true"],
    "drop path": ["model.backbone={kind: timm, name: mobilenetv2_100, drop_path_rate: 0.1}"],
    "squash": ["data.fit=squash"],
    "no average": ["training.ema_decay=0"],
    "few-shot": ["choice={folds: 3}"],
    **{f"{size} pixels": [] for size in SIZES},
    "frozen": ["finetune.train=head", "finetune.head_first={}", "training.epochs=1", "training.refit=true"],
}


def samples_of(name: str, work: Path) -> dict[str, list[tuple[Path, ...]]]:
    """Class -> its samples, each a tuple of a picture for every view, in an order that does not depend on the fold."""
    root = work / "generated" if name == "coins" else unpack(name, work)
    if not root.exists():
        obverse("sample", "coins", root, "--samples", 400, "--seed", 11)
    if name == "coins":
        return {g.name: [(path, g / "reverse" / path.name) for path in sorted((g / "obverse").iterdir())]
                for g in sorted(root.iterdir()) if (g / "obverse").is_dir()}  # fmt: skip
    by_class: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            nested = name == "omniglot_small"
            label = f"{path.parent.parent.name}-{path.parent.name}" if nested else path.parent.name
            by_class.setdefault(label, []).append(path)
    if name == "omniglot_small":
        by_class = {label: by_class[label] for label in sorted(by_class)[::4][:30]}
    for label, pictures in by_class.items():
        random.Random(name + label).shuffle(pictures)
    step = 2 if name in PAIRED else 1
    return {label: list(zip(*(pictures[view::step] for view in range(step)), strict=False))
            for label, pictures in by_class.items()}  # fmt: skip


def fold_table(name: str, fold: int, work: Path) -> Path:
    """The table of one fold, written beside its pictures; made once."""
    folder = work / "folds" / f"{name}-{fold}"
    table = folder / "table.csv"
    if table.is_file():
        return table
    rows = []
    for label, samples in samples_of(name, work).items():
        num_test = min(NUM_TEST.get(name, 15), len(samples) // 2)
        rest = samples[num_test:]
        random.Random(f"{name}-{label}-{fold}").shuffle(rest)
        for place, sample in enumerate(samples[:num_test] + rest[:NUM_TRAIN]):
            row = {"label": label, "split": "test" if place < num_test else "train"}
            for view, path in zip(views_of(name), sample, strict=True):
                target = folder / "pictures" / f"{label}-{view}-{place}{path.suffix.lower()}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                row[view] = str(target.relative_to(folder))
            rows.append(row)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def rows_of_test(table: Path) -> list[dict[str, str]]:
    return [row for row in csv.DictReader(table.open()) if row["split"] == "test"]


def order_of(table: Path) -> list[str]:
    """Class names in their order."""
    names = {row["label"] for row in csv.DictReader(table.open())}
    if names == set(GRADES):
        return list(GRADES)
    return sorted(names, key=lambda name: (len(name), name)) if all(map(str.isdigit, names)) else sorted(names)


def losses(name: str, classes: Sequence[str], labels: Sequence[str], answers: np.ndarray) -> np.ndarray:
    """Loss of each test sample: distance in classes where they are ordered, else 0 or 1."""
    truth = np.array([list(classes).index(label) for label in labels])
    return np.abs(answers - truth).astype(float) if name in ORDERED else (answers != truth).astype(float)


def run_peer(name: str, fold: int, work: Path, weights: str, way: str) -> tuple[np.ndarray, float]:
    table, out = fold_table(name, fold, work), work / way / f"{weights}-{name}-{fold}.json"
    out.parent.mkdir(exist_ok=True)
    if way in PLAIN:
        num_train = sum(row["split"] == "train" for row in csv.DictReader(table.open()))
        program = [sys.executable, PEERS / "plain_finetune.py", "--steps", PASSES * num_train // PLAIN_BATCH]
    else:
        program = [os.environ["AUTOGLUON_PYTHON"], PEERS / "autogluon_multimodal.py", "--epochs", PASSES]
    command = [*program, table, out, "--weights", file_of(weights, work), "--name", NAMES[weights]]
    command += ["--size", size_of(way), "--seed", fold]
    process = subprocess.Popen(list(map(str, command)))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{name} {fold}: {way} failed")
    known = json.loads(out.read_text())
    classes = order_of(table)
    columns = [known["classes"].index(label) for label in classes]
    probabilities = np.array(known["probabilities"])[:, columns]
    answers = (probabilities.cumsum(1) < 0.5).sum(1) if name in ORDERED else probabilities.argmax(1)
    labels = [row["label"] for row in rows_of_test(table)]
    return losses(name, classes, labels, answers), usage.ru_utime + usage.ru_stime


def run_obverse(name: str, fold: int, work: Path, weights: str, way: str) -> tuple[np.ndarray, float]:
    table, run = fold_table(name, fold, work), work / "runs" / f"{weights}-{way}-{name}-{fold}"
    shutil.rmtree(run, ignore_errors=True)
    settings = [f"training.seed={fold}", "runtime.num_threads=1", *WAYS[way]]
    if name in ORDERED:
        settings.append("data.order=[" + ", ".join(f'"{label}"' for label in order_of(table)) + "]")
    columns = [part for view in views_of(name) for part in ("--image-column", view)]
    seconds = processor_seconds(
        "train",
        table,
        "--run",
        run,
        "--size",
        size_of(way),
        "--weights",
        file_of(weights, work),
        *columns,
        *with_settings(*settings),
    )
    predictions = Predictions.read(run / "evaluation" / "test")
    answers = predictions.answers
    labels = [predictions.classes[k] for k in predictions.truth]
    values = losses(name, predictions.classes, labels, answers)
    # In the table's order, so that contenders are paired sample by sample.
    paths = [row[views_of(name)[0]] for row in rows_of_test(table)]
    order = [next(n for n, given in enumerate(predictions.ids) if Path(path).stem in given) for path in paths]
    return values[order], seconds


def size_of(way: str) -> int:
    return int(way.split()[-2]) if way.endswith(" pixels") else SIZE


def views_of(name: str) -> tuple[str, ...]:
    return ("obverse", "reverse") if name in PAIRED else ("image",)


def file_of(weights: str, work: Path) -> Path:
    data = Path(os.environ["OBVERSE_REAL_DATA"])
    return data / "mobilenetv2_100_imagenet1k.safetensors" if weights == "cnn" else work / "vit_tiny.safetensors"


def run_one(work: Path, weights: str, way: str, name: str, fold: int) -> dict[str, Any]:
    run: Callable[..., tuple[np.ndarray, float]] = run_obverse if way in WAYS else run_peer
    values, seconds = run(name, fold, work, weights, way)
    return {
        "key": f"{weights}-{way}-{name}-{fold}",
        "weights": weights, "way": way, "set": name, "fold": fold,
        "loss": round(float(values.mean()), 4), "within_one": round(float((values <= 1).mean()), 4),
        "losses": [int(value) for value in values], "processor_seconds": round(seconds, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--weights", default="cnn", choices=NAMES)
    parser.add_argument("--way", action="append", choices=[*PLAIN, "autogluon", *WAYS])
    parser.add_argument("--set", action="append", choices=SETS)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--result", default="few_pairs")
    options = parser.parse_args()
    work = options.work
    jobs = [
        (work, options.weights, way, name, fold)
        for fold in range(options.folds)
        for name in options.set or SETS
        for way in options.way or CONTENDERS
    ]
    rows = finished(options.result, "key")
    done = {row["key"] for row in rows}
    wanted = [job for job in jobs if "-".join(map(str, job[1:])) not in done]
    for _, _, _, name, fold in wanted:
        fold_table(name, fold, work)
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda job: run_one(*job), wanted):
            rows.append(row)
            print(row["key"], row["loss"], row["processor_seconds"], flush=True)
            save(options.result, rows, command="python benchmarks/few_pairs.py WORK_FOLDER", notes=summary(rows))


def summary(rows: list[dict[str, Any]]) -> str:
    """Per set and weights: the mean loss of each way, and its paired difference to the plain fine-tune."""
    lines = []
    for weights, name in sorted({(row["weights"], row["set"]) for row in rows}):
        here = [row for row in rows if (row["weights"], row["set"]) == (weights, name)]
        plain = {row["fold"]: row for row in here if row["way"] == "plain"}
        for way in dict.fromkeys(row["way"] for row in here):
            of_way = {row["fold"]: row for row in here if row["way"] == way}
            mean = np.mean([row["loss"] for row in of_way.values()])
            text = f"{weights} {name} {way}: {mean:.3f} ({len(of_way)} folds)"
            both = sorted(of_way.keys() & plain.keys())
            if way != "plain" and both:
                gains_FN = np.array([np.subtract(plain[f]["losses"], of_way[f]["losses"]) for f in both])
                low, high = interval(gains_FN.mean(0))
                text += f", better than plain by {gains_FN.mean():.3f} ({low:.3f} to {high:.3f})"
            lines.append(text)
    return "; ".join(lines)


def interval(gains: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over samples."""
    random_rows = np.random.default_rng(0).integers(len(gains), size=(4000, len(gains)))
    low, high = np.percentile(gains[random_rows].mean(1), (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    main()
