"""Coverage and size of prediction sets by simulation, beside MAPIE and contiguous APS.

    python benchmarks/conformal.py [--draws 200] [--mapie ENVIRONMENT/bin/python] [--only PART]

A draw is a val split, on which a rule is fitted, and 1,000 new samples. Each row has the mean coverage over draws, what
the beta-binomial law leaves open for it, and the mean number of classes in a set.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import save
from scipy.stats import beta

from obverse.decisions import Evidence, OneClass, calibrate, fit_sets, sets_of, to_logits, to_probabilities
from obverse.decisions.conformal import Draws, scores_of, threshold
from obverse.decisions.conformal.quantile import place_of
from obverse.metrics import Units
from obverse.recipe import SetsSpec

LEVEL, NUM_NEW = 0.9, 1000
PEER = Path(__file__).parent / "peers" / "mapie_sets.py"
Array = npt.NDArray[Any]
Scores = Callable[[Array], Array]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--mapie", default=None, help="Python of an environment with MAPIE 1.6.")
    parser.add_argument("--only", choices=sorted(PARTS), default=None)
    chosen = parser.parse_args()
    rows = []
    for name, part in PARTS.items():
        for row in part(chosen.draws, chosen.mapie) if chosen.only in (None, name) else ():
            print({"part": name, **row}, flush=True)
            rows.append({"part": name, **row})
    if chosen.only is None:
        command = f"python benchmarks/conformal.py --draws {chosen.draws}" + " --mapie PYTHON" * (
            chosen.mapie is not None
        )
        save("conformal", rows, command=command, notes=NOTES)


NOTES = (
    "simulated, 90 %; `contiguous-aps` scores a class by the probability of the greedy range up to and with it, "
    "`contiguous-aps-before` by that up to it; `sliding-window` is the shortest range of a probability; none is random"
)


def summary(name: str, found: list[tuple[float, float]], num: int, *, exact: bool = True) -> dict[str, Any]:
    """Mean coverage with what the law allows for the mean of so many draws, its spread, and the mean size."""
    coverage_D, size_D = np.array(found).T
    place = place_of(num, level=LEVEL, confidence=None)
    law = beta(place, num + 1 - place)
    variance = law.var() + law.mean() * (1 - law.mean()) / NUM_NEW
    error = 1.96 * math.sqrt(variance / len(found))
    row = {"rule": name, "num_units": num, "coverage": round(float(coverage_D.mean()), 4)}
    if exact:
        row |= {"law": [round(float(law.mean() - error), 4), round(float(law.mean() + error), 4)]}
        row |= {"spread": round(float(coverage_D.std()), 4), "spread_of_law": round(math.sqrt(variance), 4)}
    return row | {"size": round(float(size_D.mean()), 3), "draws": len(found)}


def measured(within_MK: Array, truth_M: Array) -> tuple[float, float]:
    return float(within_MK[np.arange(len(truth_M)), truth_M].mean()), float(within_MK.sum(1).mean())


def by_rule(kind: str, rows_NK: Array, truth_N: Array, new_MK: Array, *, ordered: bool) -> Array:
    """The sets of one of Obverse's rules for new samples."""
    more = {"rank": 5, "penalty": 0.01} if kind == "raps" else {}
    rule = SetsSpec.model_validate({"kind": kind, "level": LEVEL, "quantile": (None,), "num_units": 0, **more})
    one = OneClass(ordered=ordered)
    scores_NK = scores_of(rows_NK, one, rule)
    limit = threshold(Draws.of_true_classes(scores_NK, truth_N, Units.alone(len(truth_N))), level=LEVEL)
    return sets_of(new_MK, one, rule.changed({"quantile": (limit,)}))


def by_scores(scores: Scores, rows_NK: Array, truth_N: Array, new_MK: Array) -> Array:
    draws = Draws.of_true_classes(scores(rows_NK), truth_N, Units.alone(len(truth_N)))
    return scores(new_MK) <= threshold(draws, level=LEVEL)


def softmax(logits_NK: Array) -> Array:
    exponents_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
    return exponents_NK / exponents_NK.sum(1, keepdims=True)


def classes(rng: np.random.Generator, num: int, num_classes: int) -> tuple[Array, Array]:
    """Probabilities and true classes: samples of all degrees of difficulty, and an overconfident model."""
    logits_NK = rng.normal(0, 1, (num, num_classes)) * np.exp(rng.normal(1.0, 0.7, (num, 1)))
    truth_N = (logits_NK + rng.gumbel(size=logits_NK.shape)).argmax(1)
    return softmax(1.3 * logits_NK + rng.normal(0, 0.5, logits_NK.shape)), truth_N


def grades(rng: np.random.Generator, num: int, num_classes: int, rough: float, width: float) -> tuple[Array, Array]:
    """The same for ordered classes. rough: noise of single logits; width: mean spread of a grade, in grades."""
    place_N1 = rng.uniform(-0.5, num_classes - 0.5, (num, 1))
    width_N1 = np.exp(rng.normal(math.log(width), 1.0, (num, 1)))
    true_NK = softmax(-(((np.arange(num_classes) - place_N1) / width_N1) ** 2) / 2)
    truth_N = (true_NK.cumsum(1) < rng.random((num, 1))).sum(1).clip(max=num_classes - 1)
    return softmax(np.log(true_NK + 1e-6) + rough * rng.normal(size=true_NK.shape)), truth_N


def unordered(draws: int, mapie: str | None) -> Iterator[dict[str, Any]]:
    """LAC and RAPS beside MAPIE's."""
    for num_classes, num in ((10, 54), (10, 500), (100, 500)):
        rng, given = np.random.default_rng(num_classes), []
        for _ in range(draws):
            rows_NK, truth_N = classes(rng, num + NUM_NEW, num_classes)
            given.append((rows_NK[:num], truth_N[:num], rows_NK[num:], truth_N[num:]))
        for kind in ("lac", "raps"):
            found = [measured(by_rule(kind, *draw[:3], ordered=False), draw[3]) for draw in given]
            yield {"num_classes": num_classes, **summary(kind, found, num)}
        for kind, found in from_mapie(mapie, given).items() if mapie else ():
            if not found:
                yield {"num_classes": num_classes, "rule": f"mapie-{kind}", "num_units": num, "draws": 0}
                continue
            yield {"num_classes": num_classes, **summary(f"mapie-{kind}", found, num, exact=kind == "lac")}


def from_mapie(python: str, given: list[tuple[Array, Array, Array, Array]]) -> dict[str, list[tuple[float, float]]]:
    names = ("fit_DNK", "fit_truth_DN", "new_DMK", "new_truth_DM")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "draws.npz"
        np.savez(file, **{name: np.stack(arrays) for name, arrays in zip(names, zip(*given, strict=True), strict=True)})
        command = [python, str(PEER), str(file), str(LEVEL), "lac", "raps"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ordered(draws: int, mapie: str | None) -> Iterator[dict[str, Any]]:
    """Ranges beside contiguous APS and the sliding window, at equal coverage."""
    for num_classes, rough, width in ((7, 0.3, 0.7), (7, 1.0, 0.7), (27, 0.3, 0.7), (27, 0.3, 2.0), (27, 1.0, 2.0)):
        rng, num, found = np.random.default_rng(num_classes), 200, {}
        for _ in range(draws):
            rows_NK, truth_N = grades(rng, num + NUM_NEW, num_classes, rough, width)
            fit = rows_NK[:num], truth_N[:num], rows_NK[num:]
            for name, within_MK in {
                "range": by_rule("range", *fit, ordered=True),
                "rps": by_rule("rps", *fit, ordered=True),
                "sliding-window": by_window(*fit),
                "contiguous-aps": by_scores(lambda rows_NK: greedy(rows_NK, own=True), *fit),
                "contiguous-aps-before": by_scores(lambda rows_NK: greedy(rows_NK, own=False), *fit),
            }.items():
                found.setdefault(name, []).append(measured(within_MK, truth_N[num:]))
        setting = {"num_classes": num_classes, "rough": rough, "width": width}
        base = np.array(found["contiguous-aps"])[:, 1].mean()
        for name, values in found.items():
            shorter = round(float(1 - np.array(values)[:, 1].mean() / base), 3)
            yield {**setting, **summary(name, values, num), "shorter_than_contiguous_aps": shorter}


def greedy(rows_NK: Array, *, own: bool) -> Array:
    """Scores of contiguous APS (Lu et al. 2022): a range grows from the likeliest class to the likelier neighbour.

    own: whether the score of a class counts its own probability. The likeliest class has the score 0.
    """
    num, num_classes = rows_NK.shape
    rows_N, start_N = np.arange(num), rows_NK.argmax(1)
    low_N, high_N, scores_NK = start_N.copy(), start_N.copy(), np.zeros(rows_NK.shape)
    mass_N = rows_NK[rows_N, start_N].copy()
    for _ in range(num_classes - 1):
        left_N = np.where(low_N > 0, rows_NK[rows_N, np.maximum(low_N - 1, 0)], -1)
        right_N = np.where(high_N < num_classes - 1, rows_NK[rows_N, np.minimum(high_N + 1, num_classes - 1)], -1)
        is_left_N = left_N > right_N
        added_N = np.maximum(left_N, right_N)
        scores_NK[rows_N, np.where(is_left_N, low_N - 1, high_N + 1)] = mass_N + added_N * own
        mass_N, low_N, high_N = mass_N + added_N, low_N - is_left_N, high_N + ~is_left_N
    return scores_NK


def by_window(rows_NK: Array, truth_N: Array, new_MK: Array) -> Array:
    """The shortest ranges around the likeliest class of at least a probability, which is fitted (arXiv 2511.16845)."""
    mass_NL, start_NL = windows(rows_NK)
    lengths_L = np.arange(1, rows_NK.shape[1] + 1)
    truth_N1 = truth_N[:, None]
    outside_NL = (truth_N1 < start_NL) | (truth_N1 >= start_NL + lengths_L)
    # A sample is covered from the largest probability of a range without its class on.
    scores_N1 = np.where(outside_NL, mass_NL, 0).max(1)[:, None]
    units = Units.alone(len(truth_N))
    limit = threshold(Draws.of_true_classes(scores_N1, np.zeros(len(truth_N), np.int64), units), level=LEVEL)
    mass_ML, start_ML = windows(new_MK)
    mass_ML[:, -1] = np.inf
    length_M = (mass_ML > limit).argmax(1)
    start_M1, places_K = start_ML[np.arange(len(new_MK)), length_M][:, None], np.arange(new_MK.shape[1])
    return (places_K >= start_M1) & (places_K <= start_M1 + length_M[:, None])


def windows(rows_NK: Array) -> tuple[Array, Array]:
    """The largest probability of a range of each length that holds the likeliest class, and where it starts."""
    num, num_classes = rows_NK.shape
    up_to_NK = np.concatenate([np.zeros((num, 1)), rows_NK.cumsum(1)], 1)
    answers_N1, mass, start = rows_NK.argmax(1)[:, None], [], []
    for length in range(1, num_classes + 1):
        starts_S = np.arange(num_classes - length + 1)
        holds_NS = (starts_S <= answers_N1) & (answers_N1 < starts_S + length)
        mass_NS = np.where(holds_NS, up_to_NK[:, length:] - up_to_NK[:, : num_classes - length + 1], -1)
        mass.append(mass_NS.max(1))
        start.append(mass_NS.argmax(1))
    return np.stack(mass, 1), np.stack(start, 1)


def groups(draws: int, mapie: str | None) -> Iterator[dict[str, Any]]:
    """Alike samples in groups of very different size: weighted by group, and as if all were independent."""
    rng, num, found = np.random.default_rng(0), 54, {}
    for _ in range(draws):
        hard_G = rng.random(num)
        group_N = np.repeat(np.arange(num), np.where(hard_G < 0.5, 10, 1))
        scores_N1 = (hard_G[group_N] + 0.05 * rng.random(len(group_N)))[:, None]
        new_M = rng.random(NUM_NEW) + 0.05 * rng.random(NUM_NEW)
        for name, units in (("by-group", Units.of_groups(group_N.tolist())), ("by-sample", Units.alone(len(group_N)))):
            draw = Draws.of_true_classes(scores_N1, np.zeros(len(group_N), np.int64), units)
            found.setdefault(name, []).append((float((new_M <= threshold(draw, level=LEVEL)).mean()), 1.0))
    for name, values in found.items():
        yield summary(name, values, num, exact=False)


def chosen(draws: int, mapie: str | None) -> Iterator[dict[str, Any]]:
    """The same val chooses the best of 20 epochs by accuracy, fits the temperature and then the rule."""
    for num, is_chosen in ((54, True), (54, False), (200, True), (200, False)):
        rng, found, kind = np.random.default_rng(num), [], OneClass()
        for _ in range(draws):
            rows_NK, truth_N = classes(rng, num + NUM_NEW, 10)
            logits_NK = to_logits(rows_NK, kind).astype(np.float64)
            epochs = [(logits_NK + rng.normal(0, 1, logits_NK.shape)).astype(np.float32) for _ in range(20)]
            right_E = [float((epoch_NK[:num].argmax(1) == truth_N[:num]).mean()) for epoch_NK in epochs]
            best_NK = epochs[int(np.argmax(right_E)) if is_chosen else 0]
            evidence = Evidence(best_NK[:num], truth_N[:num], kind, Units.alone(num), np.ones(num))
            calibration = calibrate(evidence)
            rule = fit_sets(evidence, calibration, level=LEVEL)
            scale = 1.0 if calibration is None else np.array(calibration.scale)
            new_MK = to_probabilities((best_NK[num:] * scale).astype(np.float32), kind)
            found.append(measured(sets_of(new_MK, kind, rule), truth_N[num:]))
        yield {"epochs": 20 if is_chosen else 1, **summary("lac", found, num)}


PARTS = {"unordered": unordered, "ordered": ordered, "groups": groups, "chosen": chosen}

if __name__ == "__main__":
    main()
