"""Calibration on real pictures, beside temperature alone and probmetrics.

One short training per set on about a third of the samples; more than half are held out and chose nothing. These
predictions are divided into a calibration and a test half, in RESPLITS random ways: everything is fitted on the one and
measured on the other. Halves of one set are not independent draws, so the standard error of a difference is that over
the held out samples, not over resplits.
    OBVERSE_REAL_DATA=... python benchmarks/trust.py WORK_FOLDER [--rival PYTHON] [SET...]
PYTHON has probmetrics (1.3) and is given the same logits, by `peers/calibrators.py`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from common import finished, head, obverse, save, with_settings
from few_pairs import file_of
from real_sets import ORDER, unpack

from obverse.decisions import Evidence, calibrate, to_probabilities
from obverse.decisions.calibration import calibrated, fit_form
from obverse.evaluation import Predictions
from obverse.metrics import OneLabel, Units, reliability_of

RESPLITS = 20
PEER = Path(__file__).parent / "peers" / "calibrators.py"
# Shares of train, val and test; val only chooses the epoch.
SPLIT = ("data.split.train=0.35", "data.split.val=0.1", "data.split.test=0.55")
SHORT = (
    "choice=null",
    "training.epochs=4",
    "evaluation.maps=0",
    "evaluation.embeddings=false",
    "runtime.num_threads=1",
)
SETS: dict[str, tuple[str, ...]] = {
    "euro_coins": (),
    "trashnet": (),
    "tomato_freshness": (ORDER,),
    "omniglot_small": (),
    "coins": (),
    "cifar10": ("model.backbone.kind=convnet", "training.epochs=8"),
}
CIFAR_PER_CLASS = 500
OURS = ("uncalibrated", "temperature", "ours")


def data_of(name: str, work: Path) -> Path:
    """The folder of a set; of CIFAR-10 the first pictures of each class."""
    if name == "coins":
        root = work / "generated"
        if not root.exists():
            obverse("sample", "coins", root, "--samples", 1200, "--seed", 11)
        return root
    root = unpack(name, work)
    if name != "cifar10":
        return root
    part = work / "cifar10_part"
    for folder in sorted((root / "test").iterdir()) if not part.exists() else ():
        (part / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir())[:CIFAR_PER_CLASS]:
            shutil.copyfile(path, part / folder.name / path.name)
    return part


def held_out(name: str, work: Path) -> Predictions:
    """Predictions of the held out samples, by a run that is made once."""
    run = work / "trust_runs" / name
    if not (run / "training_log.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        # 32 pixels are enough for the small convnet, which learns them from scratch.
        start = ["--size", 32] if name == "cifar10" else ["--size", 64, "--weights", file_of("cnn", work)]
        obverse("train", data_of(name, work), "--run", run, *start, *with_settings(*SPLIT, *SHORT, *SETS[name]))
    return Predictions.read(run / "evaluation" / "test").labelled()


def half_of(predictions: Predictions, resplit: int) -> np.ndarray:
    """Whether each sample calibrates in this resplit (N); the samples of one group stay together."""
    generator, units = np.random.default_rng(resplit), predictions.units
    return (generator.permutation(units.num) < units.num // 2)[units.of_N]


def by_rival(python: str, logits_NK: np.ndarray, labels_N: np.ndarray, halves_RN: np.ndarray, folder: Path) -> Any:
    """Probabilities (method -> (R, N, K)) of probmetrics on the same logits."""
    folder.mkdir(parents=True, exist_ok=True)
    given, out = folder / "given.npz", folder / "answers.npz"
    np.savez(given, logits=logits_NK, labels=labels_N, halves=halves_RN)
    subprocess.run([python, PEER, given, out], check=True)
    with np.load(out) as arrays:
        return {name: arrays[name] for name in arrays.files}


def by_us(logits_NK: np.ndarray, labels_N: np.ndarray, predictions: Predictions, half_N: np.ndarray) -> dict[str, Any]:
    """Method -> probabilities of all samples, fitted on those of `half_N`; and the form that we chose."""
    import torch

    exact_NK, kind = logits_NK.astype(np.float64), predictions.kind
    evidence = Evidence(
        logits_NK[half_N], labels_N[half_N], kind, predictions.units.take(half_N), np.ones(int(half_N.sum()))
    )
    specs = {
        "uncalibrated": None,
        "temperature": fit_form("temperature", exact_NK[half_N], labels_N[half_N], strength=0.0),
        "ours": calibrate(evidence),
    }
    mapped = {
        name: to_probabilities(calibrated(torch.from_numpy(exact_NK), spec).numpy().astype(np.float32), kind)
        for name, spec in specs.items()
    }
    return {**mapped, "form": specs["ours"].kind if specs["ours"] else "none"}


def outcome(predictions: Predictions, probabilities_NK: np.ndarray, rows_N: np.ndarray) -> OneLabel:
    """What metrics are computed from, of some rows."""
    part = predictions.take(rows_N)
    given = Predictions(
        split="test", classes=part.classes, ids=part.ids, truth=part.truth, kind=part.kind, groups=part.groups,
        probabilities_NK=probabilities_NK[rows_N].astype(np.float32),
    )  # fmt: skip
    return given.outcome


def scores(answers: OneLabel) -> dict[str, Any]:
    """Log loss of each sample, and Brier score, calibration error and accuracy of all."""
    one_hot_NK = np.eye(answers.num_classes)[answers.labels_N]
    return {
        "losses_N": answers.losses_N,
        "brier": float(((answers.probabilities_NK - one_hot_NK) ** 2).sum(1).mean()),
        "ece": reliability_of(answers).error,
        "accuracy": float((answers.probabilities_NK.argmax(1) == answers.labels_N).mean()),
    }


def run_set(name: str, work: Path, rival: str | None) -> dict[str, Any]:
    predictions = held_out(name, work)
    raw = predictions.uncalibrated_NK
    probabilities_NK = predictions.probabilities_NK if raw is None else raw
    logits_NK = np.log(np.maximum(probabilities_NK, np.finfo(np.float32).tiny))
    labels_N, num = predictions.truth, len(predictions.ids)
    halves_RN = np.stack([half_of(predictions, resplit) for resplit in range(RESPLITS)])
    rivals = by_rival(rival, logits_NK, labels_N, halves_RN, work / "rival" / name) if rival else {}
    methods = (*OURS, *rivals)
    losses: dict[str, np.ndarray] = {method: np.full((RESPLITS, num), np.nan) for method in methods}
    values: dict[str, list[dict[str, Any]]] = {method: [] for method in methods}
    forms: list[str] = []
    for resplit, half_N in enumerate(halves_RN):
        given = by_us(logits_NK, labels_N, predictions, half_N)
        forms.append(given.pop("form"))
        given |= {method: arrays_RNK[resplit] for method, arrays_RNK in rivals.items()}
        for method, mapped_NK in given.items():
            measured = scores(outcome(predictions, mapped_NK, ~half_N))
            losses[method][resplit, ~half_N] = measured.pop("losses_N")
            values[method].append(measured)
    return {
        "set": name,
        "commit": head(),
        "num_held_out": num,
        "num_calibrated": int(halves_RN[0].sum()),
        "num_classes": len(predictions.classes),
        "forms": {form: forms.count(form) for form in dict.fromkeys(forms)},
        **{method: table_of(losses[method], values[method]) for method in methods},
        "ours_less": {
            other: difference(losses["ours"], losses[other], predictions.units) for other in methods if other != "ours"
        },
    }


def table_of(losses_RN: np.ndarray, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over resplits."""
    means = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    return {"log_loss": round(float(np.nanmean(losses_RN, axis=1).mean()), 4), **means}


def difference(one_RN: np.ndarray, other_RN: np.ndarray, units: Units) -> dict[str, float]:
    """Mean difference in log loss over resplits, its standard error over the samples of one test half, and the share of
    resplits in which it is above that error.
    """
    gaps_RN = one_RN - other_RN
    means_R = np.nanmean(gaps_RN, axis=1)
    errors = []
    for gaps_N in gaps_RN:
        known_N = np.isfinite(gaps_N)
        part, gaps_M = units.take(known_N), gaps_N[known_N] - gaps_N[known_N].mean()
        errors.append(np.sqrt((np.bincount(part.of_N, gaps_M) ** 2).sum()) / len(gaps_M))
    return {
        "mean": round(float(means_R.mean()), 4),
        "standard_error": round(float(np.mean(errors)), 4),
        "worse_by_more": round(float((means_R > np.array(errors)).mean()), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--rival", help="a Python with probmetrics")
    options = parser.parse_intermixed_args()
    rows = finished("trust", "set")
    for name in options.sets:
        if name not in {row["set"] for row in rows}:
            rows.append(run_set(name, options.work, options.rival))
            print(rows[-1], flush=True)
            notes = f"{len(rows)} of {len(SETS)} sets"
            save("trust", rows, command="python benchmarks/trust.py WORK_FOLDER --rival PYTHON", notes=notes)


if __name__ == "__main__":
    main()
