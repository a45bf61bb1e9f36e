"""Class weights from the number of training samples, scaled so that the mean weight of a training sample is 1.

Without scaling, the three rules differ by orders of magnitude. The division by the sum of weights compensates that for
hard labels, but neither for mixed ones nor for gradient clipping. With one scale, a learning rate fits all rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def class_weights(counts: Sequence[int], kind: str, *, beta: float) -> list[float]:
    """Weight of each class; 0 for a class without training samples.

    kind: none, inverse (1 / n), sqrt (1 / sqrt n) or effective.
    beta: for `effective`, whose weight is (1 - beta) / (1 - beta^n) (Cui et al. 2019). Classes much larger than
    1 / (1 - beta) get nearly equal weights, such as 3,000 and 6,000 samples with beta 0.999.
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
