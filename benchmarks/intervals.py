"""How often the 95 % intervals hold the true value, and how often tests of equal models reject, by simulation.

    python benchmarks/intervals.py [--studies 2000] [--only classes|groups|sets|tests]

The truth of an average over classes is its value on very many samples with the class shares of the test set.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import save

from obverse import metrics
from obverse.evaluation import Predictions, differences
from obverse.metrics import Interval, Units

TAIL = [max(1, int(100 * 0.9**k)) for k in range(40)]
SIZES: dict[str, list[int]] = {
    "2 x 50": [50] * 2, "5 x 20": [20] * 5, "10 x 8": [8] * 10, "20 x 5": [5] * 20, "50 x 10": [10] * 50,
    "100 x 3": [3] * 100, "500 x 2": [2] * 500, "200, 60, 20, 6, 3": [200, 60, 20, 6, 3], "40 from 100 to 1": TAIL,
}  # fmt: skip
RECALLS = {"0.2 to 0.8": (0.2, 0.8, True), "0.85 to 1": (0.85, 1.0, True), "0.5 to 0.95, one rival": (0.5, 0.95, False)}
GROUPS = [(8, 10), (15, 8), (40, 8), (40, 2), (150, 4), (60, 0)]  # 0: of 1 to 20 samples each
ALIKE = (0.0, 0.2, 0.5, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--only", choices=sorted(PARTS), default=None)
    chosen = parser.parse_args()
    rows = []
    for name, part in PARTS.items():
        if chosen.only in (None, name):
            for row in part(chosen.studies):
                print(row, flush=True)
                rows.append({"part": name, **row})
    if chosen.only is None:
        save("intervals", rows, command=f"python benchmarks/intervals.py --studies {chosen.studies}")


def held(truth: float, found: list[tuple[float, Interval]]) -> dict[str, Any]:
    """Of (point, interval) pairs: how often the truth is inside, the point is not, and there is no interval."""
    given = [(point, ends) for point, ends in found if not np.isnan(ends.low)]
    inside = [ends.low <= truth <= ends.high for _, ends in given]
    outside = [not ends.low - 1e-9 <= point <= ends.high + 1e-9 for point, ends in given]
    return {
        "holds_truth": round(float(np.mean(inside)), 4) if inside else None,
        "point_outside": round(float(np.mean(outside)), 4) if outside else None,
        "no_interval": round(1 - len(given) / len(found), 4),
    }


def classes(studies: int) -> Iterator[dict[str, Any]]:
    """Averages over classes, by class sizes and how well classes are recognised."""
    for sizes_name, sizes in SIZES.items():
        for recall_name, (low, high, is_even) in RECALLS.items():
            generator, num = np.random.default_rng(0), len(sizes)
            shares_KK = confusions(generator.uniform(low, high, num), is_even=is_even)
            many_KK = np.round(shares_KK * np.array(sizes)[:, None] * 1e7).astype(np.int64)
            found: dict[str, list[tuple[float, Interval]]] = {name: [] for name in metrics.CLASS_AVERAGES}
            for _ in range(max(100, studies * 20 // max(20, num))):
                counts_KK = np.stack(
                    [generator.multinomial(size, row) for size, row in zip(sizes, shares_KK, strict=True)]
                )
                labels_N, given_N = (
                    places.repeat(counts_KK.ravel()) for places in np.indices((num, num)).reshape(2, -1)
                )
                for name, average in metrics.CLASS_AVERAGES.items():
                    ends = metrics.class_average_interval(
                        average, labels_N, given_N, Units.alone(len(labels_N)), num_classes=num
                    )
                    found[name].append((average.value(counts_KK), ends))
            for name in ("balanced_accuracy", "macro_precision", "macro_f1"):
                truth = metrics.CLASS_AVERAGES[name].value(many_KK)
                yield {"samples": sizes_name, "recall": recall_name, "metric": name, **held(truth, found[name])}


def confusions(recall_K: np.ndarray, *, is_even: bool) -> np.ndarray:
    """Shares of predictions of each true class; errors go to all other classes alike, or all to the next one."""
    num = len(recall_K)
    rest_KK = (1 - np.eye(num)) / (num - 1) if is_even else np.roll(np.eye(num), 1, axis=1)
    return np.diag(recall_K) + (1 - recall_K)[:, None] * rest_KK


def groups(studies: int) -> Iterator[dict[str, Any]]:
    """Grouped samples: accuracy and mean loss, and macro F1 of four classes; and accuracy if groups are not known."""
    for num, size in GROUPS:
        for alike in ALIKE:
            for truth in (0.8, 0.97):
                generator = np.random.default_rng(0)
                found: dict[str, list[tuple[float, Interval]]] = {
                    "accuracy": [],
                    "accuracy, groups unknown": [],
                    "loss": [],
                }
                for _ in range(studies):
                    of_N, right_N, losses_N = grouped(generator, num, size, alike, truth)
                    units = Units.of_groups(of_N.tolist())
                    share = float(right_N.mean())
                    found["accuracy"].append((share, metrics.share_interval(right_N, units)))
                    plain = metrics.wilson_interval(int(right_N.sum()), len(right_N))
                    found["accuracy, groups unknown"].append((share, plain))
                    found["loss"].append((float(losses_N.mean()), metrics.positive_mean_interval(losses_N, units)))
                what = {"groups": num, "samples_each": size or "1 to 20", "alike": alike, "accuracy": truth}
                for name, pairs in found.items():
                    yield {**what, "metric": name, **held(truth if name != "loss" else 1.0, pairs)}


def grouped(
    generator: np.random.Generator, num: int, size: int, alike: float, truth: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, hit and loss of each sample; a share `alike` of samples takes the value that its whole group has."""
    sizes_G = np.full(num, size) if size else 1 + 19 * (np.arange(num) / (num - 1)) ** 2
    of_N = np.arange(num).repeat(np.round(sizes_G).astype(int))
    copies_N = generator.random(len(of_N)) < np.sqrt(alike)
    right_N = np.where(copies_N, (generator.random(num) < truth)[of_N], generator.random(len(of_N)) < truth)
    losses_N = np.where(copies_N, generator.exponential(size=num)[of_N], generator.exponential(size=len(of_N)))
    return of_N, right_N, losses_N


def sets(studies: int) -> Iterator[dict[str, Any]]:
    """Label sets of four classes: the truth is the value on 200,000 samples."""
    for num, share in ((40, 0.3), (100, 0.3), (100, 0.1), (400, 0.1), (400, 0.03)):
        generator = np.random.default_rng(0)
        whole = set_scores(*labelled(generator, 200_000, share))
        found: dict[str, list[tuple[float, Interval]]] = {name: [] for name in whole}
        for _ in range(studies // 2):
            truth_NK, probabilities_NK = labelled(generator, num, share)
            values = set_scores(truth_NK, probabilities_NK)
            ends = metrics.set_intervals(truth_NK, probabilities_NK >= 0.5, probabilities_NK, Units.alone(num))
            for name, value in values.items():
                found[name].append((value, ends[name]))
        for name, pairs in found.items():
            yield {"samples": num, "share_of_each_class": share, "metric": name, **held(whole[name], pairs)}


def labelled(generator: np.random.Generator, num: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    truth_NK = generator.random((num, 4)) < share
    logits_NK = generator.normal(np.where(truth_NK, 0.7, -1.3), 1.0)
    return truth_NK, 1 / (1 + np.exp(-logits_NK))


def set_scores(truth_NK: np.ndarray, probabilities_NK: np.ndarray) -> dict[str, float]:
    scores = metrics.set_scores(truth_NK, probabilities_NK >= 0.5)
    precision = metrics.mean_average_precision(truth_NK, probabilities_NK)
    return {"map": precision, "macro_f1": metrics.set_macro_f1(scores), "micro_f1": metrics.set_micro_f1(scores)}


def tests(studies: int) -> Iterator[dict[str, Any]]:
    """Two equally good models: how often p < 0.05, with groups and without, and how often the interval holds 0."""
    for num, size in ((8, 10), (15, 8), (40, 8), (150, 4)):
        for alike in (0.0, 0.5, 0.9):
            generator, found = np.random.default_rng(0), []
            for _ in range(max(50, studies // 10)):
                sides = [grouped(generator, num, size, alike, 0.8) for _ in range(2)]
                labels_N = np.arange(num).repeat(size) % 3
                pair = [
                    predicted(labels_N, np.where(right_N, labels_N, (labels_N + 1) % 3), of_N)
                    for of_N, right_N, _ in sides
                ]
                known = differences([pair[0]], [pair[1]], num_resamples=400)
                plain = differences(*([predicted(labels_N, p.answers, None)] for p in pair), num_resamples=10)
                found.append((known, plain["accuracy"].p_value))
            what = {"groups": num, "samples_each": size, "alike": alike}
            for name in ("accuracy", "macro_f1", "loss"):
                results = [known[name] for known, _ in found]
                row = {**what, "metric": name, "rejects": round(float(np.mean([d.p_value < 0.05 for d in results])), 4)}
                row["interval_holds_0"] = round(float(np.mean([d.low <= 0 <= d.high for d in results])), 4)
                if name == "accuracy":
                    row["rejects_groups_unknown"] = round(float(np.mean([p < 0.05 for _, p in found])), 4)
                yield row


def predicted(labels_N: np.ndarray, given_N: np.ndarray, of_N: np.ndarray | None) -> Predictions:
    return Predictions(
        split="test",
        classes=("a", "b", "c"),
        ids=tuple(map(str, range(len(labels_N)))),
        truth=labels_N.astype(np.int64),
        probabilities_NK=(0.1 + 0.7 * np.eye(3)[given_N]).astype(np.float32),
        groups=() if of_N is None else tuple(map(str, of_N.tolist())),
    )


PARTS = {"classes": classes, "groups": groups, "sets": sets, "tests": tests}

if __name__ == "__main__":
    main()
