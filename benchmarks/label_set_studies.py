"""Label sets, by simulation: how often paired tests of equal models reject, and how kind pooled folds are.

python benchmarks/label_set_studies.py [--studies 200]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from common import save

from obverse import metrics
from obverse.decisions import LabelSet
from obverse.evaluation import Predictions, differences

# Classes, samples, expected samples of each class, samples of a group.
TESTS = ((8, 300, 4, 1), (8, 300, 12, 1), (6, 200, 50, 1), (6, 240, 60, 6), (5, 96, 30, 8))
# Samples in all, share of each class, and by how much the folds' logits are apart (standard deviation).
FOLDS = ((300, 0.05, 0.3), (300, 0.2, 0.3), (1000, 0.05, 0.3), (1000, 0.2, 0.3), (1000, 0.1, 0.8))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=200)
    studies = parser.parse_args().studies
    rows = []
    for row in (*paired_tests(studies), *pooled_folds(max(10, studies // 4))):
        print(row, flush=True)
        rows.append(row)
    save("label_set_studies", rows, command=f"python benchmarks/label_set_studies.py --studies {studies}")


def paired_tests(studies: int) -> Iterator[dict[str, Any]]:
    """Two equally good models: how often p < 0.05, and how often the interval holds 0."""
    for num_classes, num, num_positive, size in TESTS:
        generator, found = np.random.default_rng(0), []
        for _ in range(studies):
            base, other = equal_models(generator, num_classes, num, num_positive / num, size)
            found.append(differences([base], [other], num_resamples=200))
        what = {"part": "tests", "classes": num_classes, "samples": num, "of_each": num_positive, "group": size}
        for metric in metrics.compared(label_sets=True):
            known = [study[metric.name] for study in found if metric.name in study]
            row = {**what, "metric": metric.name, "not_compared": studies - len(known)}
            if known:
                row["rejects"] = round(float(np.mean([d.p_value < 0.05 for d in known])), 4)
                row["interval_holds_0"] = round(float(np.mean([d.low <= 0 <= d.high for d in known])), 4)
            yield row


def equal_models(generator: np.random.Generator, *sizes: Any) -> list[Predictions]:
    """Label sets and what two models say of them; half of the noise is common to both."""
    num_classes, num, share, size = sizes
    of_N, num_groups = np.arange(num // size).repeat(size), num // size
    latent_NK = generator.normal(size=(num_groups, num_classes)) + 0.7 * generator.normal(size=(num_groups, 1))
    truth_NK = (latent_NK > NormalDist(0, 1.49**0.5).inv_cdf(1 - share))[of_N]
    common_NK, runs = generator.normal(size=truth_NK.shape), []
    for _ in range(2):
        noise_NK = 0.7 * common_NK + 0.7 * generator.normal(size=truth_NK.shape)
        if size > 1:
            noise_NK += generator.normal(size=(num_groups, num_classes))[of_N]
        logits_NK = 1.2 * np.where(truth_NK, 1, -1) + noise_NK
        runs.append(
            Predictions(
                split="test",
                classes=tuple(map(str, range(num_classes))),
                ids=tuple(map(str, range(num))),
                truth=truth_NK,
                probabilities_NK=sigmoid(logits_NK),
                kind=LabelSet(),
                groups=tuple(map(str, of_N)) if size > 1 else (),
            )
        )
    return runs


def pooled_folds(studies: int) -> Iterator[dict[str, Any]]:
    """Five folds with thresholds of their own: what is measured on the pooled samples, and on very many new ones."""
    for num, share, apart in FOLDS:
        generator, found = np.random.default_rng(0), []
        for _ in range(studies):
            shifts = generator.normal(size=(5, 1, 8)) * apart
            held, new = ([fold(generator, n, share, shift) for shift in shifts] for n in (num // 5, 4000))
            own = [np.array(metrics.best_thresholds(*part)) for part in held]
            mean = [np.mean(own, axis=0)] * 5
            found.append(
                {
                    "own": macro_f1(held, own),
                    "own_on_new": macro_f1(new, own),
                    "mean": macro_f1(held, mean),
                    "mean_on_new": macro_f1(new, mean),
                    "map_pooled": metrics.mean_average_precision(*map(np.concatenate, zip(*held, strict=True))),
                    "map_mean_of_folds": np.mean([metrics.mean_average_precision(*part) for part in held]),
                    "map_on_new": np.mean([metrics.mean_average_precision(*part) for part in new]),
                }
            )
        means = {name: round(float(np.mean([study[name] for study in found])), 3) for name in found[0]}
        yield {"part": "folds", "samples": num, "share": share, "apart": apart, **means}


def fold(generator: np.random.Generator, num: int, share: float, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth_NK = generator.random((num, 8)) < share
    return truth_NK, sigmoid(np.where(truth_NK, 1.2, -1.44) + 1.3 * generator.normal(size=(num, 8)) + shift)


def macro_f1(parts: Sequence[tuple[np.ndarray, np.ndarray]], thresholds: Sequence[np.ndarray]) -> float:
    truth_NK = np.concatenate([truth for truth, _ in parts])
    answers_NK = np.concatenate([p >= at for (_, p), at in zip(parts, thresholds, strict=True)])
    return metrics.set_macro_f1(metrics.set_scores(truth_NK, answers_NK))


def sigmoid(logits_NK: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-logits_NK))).astype(np.float32)


if __name__ == "__main__":
    main()
