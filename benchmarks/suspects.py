"""Suspect labels: 10 % of a real set's labels are made wrong, and the ranking should find them.

Precision is the share of wrong ones among the first n suspects, where n labels are wrong; recall is that of the first
2n. Out-of-fold probabilities are those of `obverse suspects DATA --weights FILE`; cleanlab gets the same ones. Wrong
labels are uniform over the other classes; `steps` moves an ordered label by one to three classes. One thread.
    OBVERSE_REAL_DATA=... python benchmarks/suspects.py WORK_FOLDER [--cleanlab PYTHON] [--set SET...]
PYTHON is that of an environment with cleanlab 2.9. omniglot_small: its 30 characters of few_pairs.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import finished, save
from real_sets import ORDER, unpack

from obverse.bundle import Bundle
from obverse.experiment import Machine, describe, resolve
from obverse.manifest import Manifest, build_index
from obverse.probing import candidates_of, frozen_answers
from obverse.recipe import ResolvedRecipe, load_recipe
from obverse.trust.suspects import Evidence, Ranking, nearest, rank

SHARE, SEEDS, FOLDS = 0.1, 2, 5
SETS = {"trashnet": [], "euro_coins": [], "omniglot_small": [], "tomato_freshness": [ORDER]}
NUM_CHARACTERS = 30


def prepared(name: str, work: Path) -> tuple[Manifest, ResolvedRecipe, Bundle]:
    """The set with the recipe and bundle of the pretrained weights."""
    weights = str(Path(os.environ["OBVERSE_REAL_DATA"]) / "mobilenetv2_100_imagenet1k.safetensors")
    recipe = load_recipe("auto", ["runtime.num_threads=1", *SETS[name]])
    if name == "omniglot_small":
        listed = build_index(unpack(name, work), recipe.data).manifest
        left_out = [label for label in listed.classes if label not in listed.classes[::4][:NUM_CHARACTERS]]
        recipe = recipe.changed({"data.exclude_classes": tuple(left_out)})
    index = build_index(unpack(name, work), recipe.data)
    backbone = candidates_of([recipe], [weights])[0].backbone
    resolved = resolve(recipe.changed({"model.backbone": backbone}), index, Machine.here(recipe.runtime)).recipe
    return index.manifest, resolved, describe(resolved, index.manifest)


def spoilt(labels: np.ndarray, num_classes: int, noise: str, seed: int) -> np.ndarray:
    """The labels with `SHARE` of them wrong."""
    rng, wrong = np.random.default_rng(seed), labels.copy()
    for place in rng.choice(len(labels), round(SHARE * len(labels)), replace=False):
        others = np.setdiff1d(np.arange(num_classes), labels[place])
        if noise == "steps":
            others = others[np.abs(others - labels[place]) <= 3]
        wrong[place] = rng.choice(others)
    return wrong


def measured(order: np.ndarray, is_wrong: np.ndarray) -> dict[str, float]:
    num = int(is_wrong.sum())
    return {
        "precision_at_n": round(float(is_wrong[order[:num]].mean()), 4),
        "recall_in_2n": round(float(is_wrong[order[: 2 * num]].sum() / num), 4),
    }


def ranks_of_cleanlab(python: str, evidence: Evidence, is_wrong: np.ndarray, work: Path) -> dict[str, Any]:
    given, answers = work / "given.npz", work / "cleanlab.json"
    np.savez(given, given=evidence.given_NK.argmax(1), probabilities=evidence.probabilities_NK)
    peer = Path(__file__).parent / "peers" / "cleanlab_ranks.py"
    subprocess.run([python, str(peer), str(given), str(answers)], check=True)
    known = json.loads(answers.read_text())
    ranked = {method: np.argsort(scores, kind="stable") for method, scores in known["scores"].items()}
    return {f"cleanlab {method}": measured(order, is_wrong) for method, order in ranked.items()} | {
        "cleanlab_num_flagged": known["flagged"]
    }


def run_one(
    name: str, noise: str, seed: int, work: Path, python: str | None, things: tuple[Manifest, ResolvedRecipe, Bundle]
) -> dict[str, Any]:
    manifest, recipe, bundle = things
    truth = np.array([manifest.class_index[label] for label in manifest.samples.labels])
    given = spoilt(truth, len(manifest.classes), noise, seed)
    labels = tuple(manifest.classes[k] for k in given)
    noisy = replace(manifest, samples=replace(manifest.samples, labels=labels))
    answers = frozen_answers(bundle, recipe, noisy, folds=FOLDS, progress=lambda done, total: None)
    is_wrong, num = given != truth, len(truth)
    evidence = Evidence(
        ids=manifest.samples.ids, classes=manifest.classes, given_NK=np.eye(len(manifest.classes), dtype=bool)[given],
        probabilities_NK=answers.probabilities_NK, judges=("head",) * num, ordered=manifest.ordered,
        neighbours=nearest(answers.features_ND, manifest.samples.groups),
    )  # fmt: skip
    ranking: Ranking = rank(evidence, most=num)
    right = [s.suggested == (manifest.classes[truth[s.place]],) for s in ranking.suspects if is_wrong[s.place]]
    alone: Callable[[], Ranking] = lambda: rank(replace(evidence, neighbours=None))  # noqa: E731
    row = {
        "key": f"{name}-{noise}-{seed}", "set": name, "noise": noise, "seed": seed, "num_samples": num,
        "num_wrong": int(is_wrong.sum()), "head": answers.head,
        "agreement_with_truth": round(float((answers.probabilities_NK.argmax(1) == truth).mean()), 4),
        "estimated_errors": round(ranking.num_errors, 1), "obverse": measured(ranking.order_N, is_wrong),
        "obverse without neighbours": measured(alone().order_N, is_wrong),
        "share_of_found_with_right_suggestion": round(float(np.mean(right)), 4),
    }  # fmt: skip
    return row | (ranks_of_cleanlab(python, evidence, is_wrong, work) if python else {})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--cleanlab")
    parser.add_argument("--set", action="append", choices=SETS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = finished("suspects", "key")
    done = {row["key"] for row in rows}
    for name in options.set or SETS:
        noises = ["uniform", "steps"] if name == "tomato_freshness" else ["uniform"]
        jobs = [(noise, seed) for noise in noises for seed in range(SEEDS) if f"{name}-{noise}-{seed}" not in done]
        things = prepared(name, options.work) if jobs else None
        for noise, seed in jobs:
            assert things is not None
            rows.append(run_one(name, noise, seed, options.work, options.cleanlab, things))
            print(rows[-1], flush=True)
            save("suspects", rows, command="python benchmarks/suspects.py WORK_FOLDER --cleanlab PYTHON")


if __name__ == "__main__":
    main()
