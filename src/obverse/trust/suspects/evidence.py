"""What labels are judged by: class probabilities that did not learn the sample's own label, and neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .neighbours import Neighbours


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """Out-of-sample probabilities and given labels; row i of every array belongs to `ids[i]`."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]

    given_NK: npt.NDArray[np.bool_]
    """The given labels: one true value in a row, or those of the label set."""

    probabilities_NK: npt.NDArray[np.float64]
    """Of a model that was not trained on the sample."""

    judges: tuple[str, ...]
    """What gave each row's probabilities, in a few words."""

    neighbours: Neighbours | None = None
    """The nearest other samples; None where no features are known."""

    ordered: bool = False
    is_set: bool = False
