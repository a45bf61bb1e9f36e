"""From a LossSpec to an objective: of one label per sample, or of label sets."""

from __future__ import annotations

from collections.abc import Sequence

from obverse.recipe import BINARY, LossSpec, ViewHeadsSpec

from . import objective
from .binary import build_binary
from .objective import Objective


def build_objective(
    spec: LossSpec,
    *,
    counts: Sequence[int],
    num_samples: int | None = None,
    view_heads: ViewHeadsSpec | None = None,
) -> Objective:
    """counts: training samples that have each class, in class order; num_samples: all of them, where that is not the
    sum. `spec` must be resolved.
    """
    if spec.kind == BINARY:
        return build_binary(spec, counts=counts, num_samples=sum(counts) if num_samples is None else num_samples)
    return objective.build_objective(spec, counts=counts, view_heads=view_heads)
