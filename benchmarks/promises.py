"""What accepted answers and prediction sets promise, checked on real pictures.

The samples that the runs of trust.py held out are divided, or drawn from, many times. Calibration and rules are fitted
on one part and measured on samples that had no part in the fit. Of samples of one group, one is used.

Acceptance: the held out samples stand for all there are. Each draw takes a val from them with replacement, so that the
draws are independent and the true error of a threshold is known. A draw breaks the promise where more than the wanted
share of accepted answers is wrong; at most 5 % of the draws may.
Coverage: each draw takes a val without replacement and measures on the rest. Given the samples, the draws are
independent and follow the beta-binomial law. MAPIE gets the same probabilities.
    OBVERSE_REAL_DATA=... python benchmarks/promises.py WORK_FOLDER [SET...] [--mapie PYTHON]
WORK_FOLDER is that of trust.py, whose runs are used.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import finished, head, save
from scipy.stats import beta
from trust import SETS, held_out

from obverse.decisions import Evidence, calibrate, confidence_of, fit_sets, sets_of, to_answers, to_probabilities
from obverse.decisions.calibration import calibrated
from obverse.decisions.conformal import Draws, scores_of, threshold
from obverse.decisions.conformal.fit import scored_probabilities
from obverse.decisions.conformal.quantile import place_of
from obverse.evaluation import Predictions
from obverse.metrics import Units, wilson_interval
from obverse.recipe import CalibrationSpec, EvaluationSpec, SetsSpec
from obverse.trust import fit_acceptance, wanted_error
from obverse.trust.acceptance import one_of_each
from obverse.trust.held_out import held_out_answers

LEVEL = 0.9
# Draws of acceptance and of coverage.
DRAWS, RESPLITS = 200, 60
WANTED = ("tuned", 0.05, 0.1, 0.2)
# Samples of val; with fewer held out, only those that leave enough to measure on.
SIZES = (50, 100, 300)
PEER = Path(__file__).parent / "peers" / "mapie_sets.py"
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class World:
    """The samples that a run held out."""

    predictions: Predictions
    logits_NK: Array

    @classmethod
    def of(cls, predictions: Predictions) -> World:
        predictions = predictions.take(one_of_each(predictions.units))
        raw_NK = predictions.uncalibrated_NK
        rows_NK = predictions.probabilities_NK if raw_NK is None else raw_NK
        return cls(predictions, np.log(np.maximum(rows_NK, np.finfo(np.float32).tiny)))

    @property
    def truth(self) -> Array:
        return self.predictions.truth

    def drawn(self, num: int, seed: int, *, replace: bool) -> tuple[Evidence, Array]:
        """A val of so many samples, and whether each sample is in it (N)."""
        rows_M = np.random.default_rng([num, seed]).choice(len(self.truth), num, replace=replace)
        kind, units = self.predictions.kind, Units.alone(num)
        evidence = Evidence(self.logits_NK[rows_M], self.truth[rows_M], kind, units, np.ones(num))
        return evidence, np.isin(np.arange(len(self.truth)), rows_M)

    def probabilities_NK(self, calibration: CalibrationSpec | None) -> Array:
        """Those of all samples by the calibration of a val, as the bundle would answer."""
        mapped_NK = calibrated(torch.from_numpy(self.logits_NK), calibration).numpy()
        return to_probabilities(mapped_NK, self.predictions.kind)


def acceptance(world: World, num: int) -> dict[str, Any]:
    """For every wanted error: how often the promise is broken, and what is accepted."""
    found: dict[str, list[tuple[float, float, float]]] = {str(wanted): [] for wanted in WANTED}
    for seed in range(DRAWS):
        evidence, _ = world.drawn(num, seed, replace=True)
        calibration = calibrate(evidence)
        val_NK, answers_N = held_out_answers(evidence, calibration)
        right_N, sure_N = answers_N == evidence.truth, confidence_of(val_NK, answers_N, evidence.kind)
        every_NK = world.probabilities_NK(calibration)
        every_N = to_answers(every_NK, evidence.kind)
        wrong_N, confidence_N = every_N != world.truth, confidence_of(every_NK, every_N, evidence.kind)
        for wanted in WANTED:
            error = wanted_error(EvaluationSpec(accepted_error=wanted), right_N, evidence.units)
            rule = fit_acceptance(sure_N, right_N, evidence.units, wanted=error)
            accepted_N = confidence_N >= (np.inf if rule.threshold is None else rule.threshold)
            among = float(wrong_N[accepted_N].mean()) if accepted_N.any() else np.nan
            found[str(wanted)].append((error, float(accepted_N.mean()), among))
    return {wanted: summary_of_errors(np.array(rows)) for wanted, rows in found.items()}


def summary_of_errors(rows_D3: Array) -> dict[str, Any]:
    wanted_D, share_D, error_D = rows_D3.T
    accepts_D = share_D > 0
    broken_D = accepts_D & (error_D > wanted_D)
    interval = wilson_interval(int(broken_D.sum()), len(broken_D))
    return {
        "wanted": round(float(wanted_D.mean()), 4),
        "draws_that_accept": round(float(accepts_D.mean()), 4),
        "broken": round(float(broken_D.mean()), 4),
        "broken_interval": [round(interval.low, 4), round(interval.high, 4)],
        "broken_of_those_that_accept": round(float(broken_D[accepts_D].mean()), 4) if accepts_D.any() else None,
        "accepted_share": round(float(share_D.mean()), 4),
        "accepted_error": round(float(error_D[accepts_D].mean()), 4) if accepts_D.any() else None,
        "worst_accepted_error": round(float(error_D[accepts_D].max()), 4) if accepts_D.any() else None,
    }


def coverage(world: World, num: int, mapie: str | None) -> dict[str, Any]:
    """Coverage and size of the rule that ships, of each rule that could, and of MAPIE's, over resplits."""
    found: dict[str, list[tuple[float, float]]] = {}
    kinds, for_mapie, shipped = set(), [], []
    for seed in range(RESPLITS):
        evidence, is_val_N = world.drawn(num, seed, replace=False)
        calibration = calibrate(evidence)
        new_MK, truth_M = world.probabilities_NK(calibration)[~is_val_N], world.truth[~is_val_N]
        rule = fit_sets(evidence, calibration, level=LEVEL)
        kinds.add(rule.kind if len(rule.quantile) == 1 else f"{rule.kind} by class")
        val_NK = scored_probabilities(evidence, calibration)
        for_mapie.append((val_NK, evidence.truth, new_MK, truth_M))
        sets = {"ours": sets_of(new_MK, evidence.kind, rule)}
        if getattr(evidence.kind, "ordered", False):
            sets |= {kind: by_kind(kind, val_NK, evidence, new_MK) for kind in ("range", "rps")}
            shipped.append(rule.kind)
        for name, within_MK in sets.items():
            inside_M = within_MK[np.arange(len(truth_M)), truth_M]
            found.setdefault(name, []).append((float(inside_M.mean()), float(within_MK.sum(1).mean())))
    rivals = from_mapie(mapie, for_mapie) if mapie else {}
    num_new = len(for_mapie[0][3])
    return {
        "rules": sorted(kinds),
        **({"shipped": {kind: shipped.count(kind) for kind in dict.fromkeys(shipped)}} if shipped else {}),
        "law": law(num, num_new),
        **{name: summary_of_sets(values) for name, values in (found | rivals).items() if values},
    }


def by_kind(kind: str, val_NK: Array, evidence: Evidence, new_MK: Array) -> Array:
    """The sets of one rule."""
    rule = SetsSpec.model_validate({"kind": kind, "level": LEVEL, "quantile": (None,), "num_units": 0})
    scores_NK = scores_of(val_NK, evidence.kind, rule)
    limit = threshold(Draws.of_true_classes(scores_NK, evidence.truth, evidence.units), level=LEVEL)
    return sets_of(new_MK, evidence.kind, rule.changed({"quantile": (limit,)}))


def from_mapie(python: str, given: list[tuple[Array, Array, Array, Array]]) -> dict[str, list[tuple[float, float]]]:
    """Coverage and size of MAPIE's LAC for the same probabilities."""
    names = ("fit_DNK", "fit_truth_DN", "new_DMK", "new_truth_DM")
    file = Path("/tmp") / "promises_draws.npz"
    np.savez(file, **{name: np.stack(arrays) for name, arrays in zip(names, zip(*given, strict=True), strict=True)})
    answer = subprocess.run([python, PEER, file, str(LEVEL), "lac"], check=True, capture_output=True, text=True)
    return {f"mapie-{kind}": [tuple(pair) for pair in pairs] for kind, pairs in json.loads(answer.stdout).items()}


def law(num: int, num_new: int) -> dict[str, Any]:
    """Mean coverage by the beta-binomial law, the 95 % interval of the mean over draws, and the spread of one draw."""
    place = place_of(num, level=LEVEL, confidence=None)
    betas = beta(place, num + 1 - place)
    mean, variance = betas.mean(), betas.var() + (betas.mean() * (1 - betas.mean()) - betas.var()) / num_new
    error = 1.96 * (variance / RESPLITS) ** 0.5
    return {
        "mean": round(float(mean), 4),
        "mean_interval": [round(float(mean - error), 4), round(float(mean + error), 4)],
        "spread": round(float(variance**0.5), 4),
    }


def summary_of_sets(values: list[tuple[float, float]]) -> dict[str, float]:
    coverage_D, size_D = np.array(values).T
    return {
        "coverage": round(float(coverage_D.mean()), 4),
        "spread": round(float(coverage_D.std()), 4),
        "size": round(float(size_D.mean()), 3),
    }


def rows_of(name: str, work: Path, mapie: str | None) -> list[dict[str, Any]]:
    """A row for every size of val."""
    world, rows = World.of(held_out(name, work)), []
    num_held_out = len(world.truth)
    for num in (size for size in SIZES if size <= 0.55 * num_held_out):
        common = {"set": name, "commit": head(), "num_val": num, "num_held_out": num_held_out}
        error = float(1 - world.predictions.is_right_N.mean())
        measured = {"acceptance": acceptance(world, num), "coverage": coverage(world, num, mapie)}
        rows.append({**common, "num_classes": len(world.predictions.classes), "error": round(error, 4), **measured})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--mapie", help="a Python with MAPIE 1.6")
    options = parser.parse_intermixed_args()
    rows = finished("promises", "set")
    for name in options.sets:
        if name not in {row["set"] for row in rows}:
            rows += rows_of(name, options.work, options.mapie)
            save("promises", rows, command="python benchmarks/promises.py WORK_FOLDER --mapie PYTHON")


if __name__ == "__main__":
    main()
