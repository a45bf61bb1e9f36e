"""Class weights from the number of training samples, scaled so that a training sample weighs 1 on average.

The three rules differ in scale by orders of magnitude. Dividing by the sum of weights hides that for hard labels, not
for mixed ones and not where the gradient is clipped; with one scale, a learning rate fits all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def class_weights(counts: Sequence[int], kind: str, *, beta: float) -> list[float]:
    """Weight per class; 0 for a class without training samples.

    effective: (1 - beta) / (1 - beta^n), Cui et al. 2019. It no longer tells classes apart that are much
    larger than 1 / (1 - beta): with beta 0.999, 3,000 and 6,000 samples weigh the same.
    """
    rules: dict[str, Callable[[Array], Array]] = {
        "none": np.ones_like,
        "inverse": lambda n: 1 / n,
        "sqrt": lambda n: 1 / np.sqrt(n),
        "effective": lambda n: (1 - beta) / -np.expm1(n * np.log(beta)) if beta else np.ones_like(n),
    }
    counts_K = np.asarray(counts, dtype=np.float64)
    raw_K = np.where(counts_K > 0, rules[kind](np.maximum(counts_K, 1)), 0.0)
    weights: list[float] = (raw_K * counts_K.sum() / (raw_K @ counts_K)).tolist()
    return weights
