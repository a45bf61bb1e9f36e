"""The answer to each row of an array of probabilities, as training and prediction give it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from obverse import losses
from obverse.recipe import Decode


def decide(probabilities_NK: npt.NDArray[np.floating[Any]], decode: Decode) -> npt.NDArray[np.int64]:
    """`losses.decide` of an array: -1 for a row of NaN, a sample without that view."""
    chosen_N: npt.NDArray[np.int64] = losses.decide(torch.tensor(probabilities_NK, dtype=torch.float64), decode).numpy()
    return chosen_N
