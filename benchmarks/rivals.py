"""`obverse train` with no choice but the time, against what people use today, three minutes a run on two cores.

Six sets; each is split once (`obverse prepare`), and every rival gets that split as folders of the same files; the two
sides of a coin lie beside each other in one picture. A rival's picture size is the one that Obverse chose, because in
three minutes on two cores their usual 224 is less than an epoch. All are from scratch. Choices are made on val by each
tool itself, test is looked at once. Peers run in an environment of their own:
    OBVERSE_REAL_DATA=... PEERS_PYTHON=... TIMM_SOURCE=... python benchmarks/rivals.py WORK_FOLDER [SET...]
Resumable, on another machine too: results/rivals_runs.json keeps which test pictures every run had right; a set and
seed should be finished where it began, because three minutes are more on a faster machine. The first seed of every set
comes first, so that a partial table is one of all sets. The machine must be idle.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from common import finished, hardware, head, obverse, save, with_settings
from PIL import Image
from real_sets import ORDER, unpack

from obverse.evaluation import Predictions
from obverse.imaging import decode_picture
from obverse.manifest import Manifest, build_index
from obverse.recipe import load_recipe

MINUTES = 3.0
COMMAND = "python benchmarks/rivals.py WORK_FOLDER"
SEEDS = {"obverse": (0, 1, 2), "plain_loop": (0, 1), "timm_train": (0, 1), "ultralytics_classify": (0, 1)}
SETS: dict[str, list[str]] = {
    "euro_coins": [],
    "trashnet": [],
    "tomato_freshness": [ORDER],
    "omniglot_small": ["data.layout=class-folders"],
    "cifar10": [],
    "coins": [],
}
NUM_COINS, COINS_SEED = 600, 6
PEERS = Path(__file__).parent / "peers"
Answers = dict[str, str]


def source(name: str, work: Path) -> Path:
    """The folder of a set; the coins are generated."""
    if name != "coins":
        return unpack(name, work)
    if not (work / "rival-coins").exists():
        obverse("sample", "coins", work / "rival-coins", "--samples", NUM_COINS, "--seed", COINS_SEED)
    return work / "rival-coins"


def prepare(name: str, work: Path) -> tuple[Path, Manifest]:
    """The split: a manifest file for Obverse, and the same in memory."""
    path = work / f"rivals-{name}.csv"
    if not path.exists():
        settings = with_settings(*SETS[name])
        obverse("prepare", source(name, work), "--out", path, *settings)
    return path, build_index(path, load_recipe("auto", []).data).manifest


def write_folders(manifest: Manifest, target: Path) -> dict[str, str]:
    """train/, val/ and test/ with a folder per class, for the peers; file name -> sample id of the test pictures."""
    names = {}
    scratch = target.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    for number, sample in enumerate(manifest.samples):
        if sample.split is None:
            continue
        folder = scratch / sample.split / sample.label.replace("/", "__")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [manifest.root / path for path in sample.views.values()]
        file = folder / f"{number:06}{paths[0].suffix if len(paths) == 1 else '.png'}"
        if sample.split == "test":
            names[f"{folder.name}/{file.name}"] = sample.id
        if target.exists():
            continue
        if len(paths) == 1:
            file.symlink_to(paths[0])
        else:
            beside([Image.fromarray(decode_picture(path.read_bytes())) for path in paths]).save(file)
    if not target.exists():
        scratch.rename(target)
    return names


def beside(sides: Sequence[Image.Image]) -> Image.Image:
    """The pictures side by side."""
    whole = Image.new("RGB", (sum(side.width for side in sides), max(side.height for side in sides)))
    left = 0
    for side in sides:
        whole.paste(side, (left, 0))
        left += side.width
    return whole


def run_obverse(name: str, work: Path, seed: int) -> Answers:
    run = work / "runs" / f"rivals-{name}-{seed}"
    shutil.rmtree(run, ignore_errors=True)
    settings = ["--set", f"training.seed={seed}", *(["--set", ORDER] if name == "tomato_freshness" else [])]
    obverse("train", prepare(name, work)[0], "--run", run, "--minutes", MINUTES, *settings)
    predictions = Predictions.read(run / "evaluation" / "test")
    return {sample: predictions.classes[k] for sample, k in zip(predictions.ids, predictions.answers, strict=True)}


def run_peer(peer: str, name: str, work: Path, seed: int, manifest: Manifest) -> Answers:
    out = work.resolve() / "answers.json"
    ids = write_folders(manifest, work.resolve() / "rivals" / name)
    command = [os.environ["PEERS_PYTHON"], PEERS / f"{peer}.py", work.resolve() / "rivals" / name, out]
    command += ["--minutes", MINUTES, "--seed", seed, "--size", chosen_size(name, work)]
    subprocess.run(list(map(str, command)), check=True, cwd=out.parent)
    return {ids[file]: label.replace("__", "/") for file, label in json.loads(out.read_text()).items()}


def chosen_size(name: str, work: Path) -> int:
    """The longer side that Obverse chose for the set."""
    size = yaml.safe_load((work / "runs" / f"rivals-{name}-0" / "recipe.yaml").read_text())["data"]["size"]
    return max(size["height"], size["width"])


def hits_of(tool: str, name: str, work: Path, seed: int, manifest: Manifest) -> tuple[np.ndarray, str]:
    """Which test samples a run had right, in the manifest's order, and its commit; made now unless it is kept."""
    runs = finished("rivals_runs", "hits")
    key = f"{name}-{tool}-{seed}"
    kept = next((run for run in runs if run["key"] == key), None)
    if kept is None:
        found = run_obverse(name, work, seed) if tool == "obverse" else run_peer(tool, name, work, seed, manifest)
        hits_N = [found[sample.id] == sample.label for sample in manifest.split("test")]
        kept = {"key": key, "commit": head(), "hardware": hardware(), "hits": np.packbits(hits_N).tobytes().hex()}
        save("rivals_runs", [*runs, kept], command=COMMAND, notes="hits: a bit per test sample, in hexadecimal digits")
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(kept["hits"]), np.uint8))
    return bits[: len(manifest.split("test"))].astype(bool), kept["commit"]


def paired_interval(left_SN: np.ndarray, right_SN: np.ndarray, rounds: int = 2000) -> tuple[float, float]:
    """95 % interval of the difference of mean accuracies, by a bootstrap over samples and over each side's seeds."""
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(rounds):
        chosen_N = rng.integers(0, left_SN.shape[1], left_SN.shape[1])
        means = [
            side_SN[rng.integers(0, len(side_SN), len(side_SN))][:, chosen_N].mean() for side_SN in (left_SN, right_SN)
        ]
        differences.append(means[0] - means[1])
    low, high = np.quantile(differences, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def run_set(name: str, work: Path, newest: int) -> list[dict[str, Any]]:
    """Rows of a set, from the runs of all seeds up to `newest`."""
    manifest = prepare(name, work)[1]
    runs = {
        tool: [hits_of(tool, name, work, seed, manifest) for seed in seeds if seed <= newest]
        for tool, seeds in SEEDS.items()
    }
    table = {tool: np.array([hits_N for hits_N, _ in of_tool]) for tool, of_tool in runs.items()}
    means = {tool: float(hits_SN.mean()) for tool, hits_SN in table.items()}
    rows = []
    for tool, hits_SN in table.items():
        row: dict[str, Any] = {"commit": " ".join(dict.fromkeys(commit for _, commit in runs[tool]))}
        row |= {"set": name, "tool": tool, "num_test": hits_SN.shape[1], "accuracy": round(means[tool], 4)}
        row["by_seed"] = [round(float(value), 4) for value in hits_SN.mean(1)]
        row["rank"] = 1 + sum(mean > means[tool] for mean in means.values())
        if tool != "obverse":
            low, high = paired_interval(table["obverse"], hits_SN)
            row["obverse_minus_this"] = {"value": round(means["obverse"] - means[tool], 4), "low": low, "high": high}
        rows.append(row)
    return rows


def main() -> None:
    work, names = Path(sys.argv[1]), sys.argv[2:] or list(SETS)
    rows: dict[str, list[dict[str, Any]]] = {}
    for newest, name in product(SEEDS["obverse"], names):
        rows[name] = run_set(name, work, newest)
        for row in rows[name]:
            print(row)
        so_far = list(chain.from_iterable(rows.values()))
        ranks = {tool: np.mean([row["rank"] for row in so_far if row["tool"] == tool]) for tool in SEEDS}
        notes = f"{len(rows)} of {len(SETS)} sets; {MINUTES:g} minutes a run; mean ranks "
        notes += ", ".join(f"{tool} {rank:.2f}" for tool, rank in ranks.items())
        save("rivals", so_far, command=COMMAND, notes=notes)


if __name__ == "__main__":
    main()
