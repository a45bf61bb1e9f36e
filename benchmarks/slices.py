"""A weak slice planted among columns without effect: is it named, and are others?

Held out predictions of the runs of trust.py get a column that says `yes` for a fifth of the samples, drawn so that the
share of wrong answers among them is higher than in the rest by a given difference, and NUM_SHUFFLED columns of three
values that are drawn at random. The search of `obverse evaluate` must name the planted slice, which it confirms on
held-out halves, and no other.
    OBVERSE_REAL_DATA=... python benchmarks/slices.py WORK_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import head, save
from trust import held_out

from obverse.metrics import Units
from obverse.trust.slices import Losses, find_slices, sample_losses
from obverse.trust.slices.attributes import Attribute, by_value

SETS, SHARE, REPEATS, NUM_SHUFFLED = ("euro_coins", "cifar10"), 0.2, 40, 9
# Samples of the evaluation, and differences in the share of wrong answers.
SIZES, DIFFERENCES = (400, 1400), (0.0, 0.1, 0.2, 0.3)


def planted(wrong_N: np.ndarray, difference: float, generator: np.random.Generator) -> np.ndarray:
    """Whether each sample is in the slice (N): SHARE of them, wrong more often by `difference` than the rest."""
    num_in, num_wrong = round(SHARE * len(wrong_N)), int(wrong_N.sum())
    # The error e of the rest solves SHARE (e + difference) + (1 - SHARE) e = the error of all.
    wanted = round(num_in * (num_wrong / len(wrong_N) + (1 - SHARE) * difference))
    wanted = min(wanted, num_wrong, num_in)
    rows = [
        generator.choice(np.flatnonzero(wrong_N), wanted, replace=False),
        generator.choice(np.flatnonzero(~wrong_N), num_in - wanted, replace=False),
    ]
    return np.isin(np.arange(len(wrong_N)), np.concatenate(rows))


def attributes(in_slice_N: np.ndarray, generator: np.random.Generator) -> list[Attribute]:
    """The planted column and those without effect."""
    columns = {"planted": np.where(in_slice_N, "yes", "no").tolist()}
    for number in range(NUM_SHUFFLED):
        columns[f"shuffled {number}"] = generator.choice(["a", "b", "c"], len(in_slice_N)).tolist()
    return [by_value(name, values, lambda value, name=name: f"{name} {value}") for name, values in columns.items()]


def row_of(name: str, losses: Losses, num: int, difference: float) -> dict[str, Any]:
    found, false, estimates = [], [], []
    for seed in range(REPEATS):
        generator = np.random.default_rng([num, round(100 * difference), seed])
        rows_M = generator.choice(len(losses.values_N), num, replace=False)
        part = Losses(losses.values_N[rows_M], losses.measure, losses.most)
        in_slice_M = planted(part.values_N > 0, difference, generator)
        weak = find_slices(part, Units.alone(num), attributes(in_slice_M, generator), seed=seed).weak
        estimates += [one.difference for one in weak if one.words == "planted yes"]
        found.append(any(one.words == "planted yes" for one in weak))
        false.append(any(one.words != "planted yes" for one in weak))
    return {
        "set": name, "commit": head(), "num_samples": num, "error": round(float(losses.values_N.mean()), 4),
        "planted_difference": difference, "repeats": REPEATS, "named": float(np.mean(found)),
        "another_named": float(np.mean(false)),
        "difference_where_named": round(float(np.mean(estimates)), 4) if estimates else None,
    }  # fmt: skip


def main() -> None:
    rows = []
    for name in SETS:
        losses = sample_losses(held_out(name, Path(sys.argv[1])), "accuracy")
        for num in (size for size in SIZES if size <= len(losses.values_N)):
            for difference in DIFFERENCES:
                rows.append(row_of(name, losses, num, difference))
                print(rows[-1], flush=True)
                save("slices", rows, command="python benchmarks/slices.py WORK_FOLDER")


if __name__ == "__main__":
    main()
