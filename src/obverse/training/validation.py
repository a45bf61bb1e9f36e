"""Values of the outputs on val: selection metric, loss and accuracy, as of the shipped model."""

from __future__ import annotations

import numpy as np

from obverse.decisions import kind_of, to_probabilities
from obverse.engines import Outputs
from obverse.errors import DivergedError
from obverse.evaluation import selection_value, with_best_prior
from obverse.losses import Objective


def val_values(outputs: Outputs, objective: Objective, select: str) -> tuple[float, float, float]:
    """Selection metric, loss and accuracy."""
    counts, kind = objective.tuned_counts, kind_of(objective.output)
    read = outputs if counts is None else with_best_prior(select, outputs, counts=counts, kind=kind)
    value, loss, accuracy = (
        selection_value(name, read.logits_NK, read.truth, kind) for name in (select, "loss", "accuracy")
    )
    return value, loss, accuracy


def without_number(outputs: Outputs, objective: Objective) -> list[str]:
    """Ids of the samples whose outputs are not finite."""
    probabilities_NK = to_probabilities(outputs.logits_NK, kind_of(objective.output))
    return [outputs.ids[row] for row in np.flatnonzero(np.isnan(probabilities_NK).any(axis=1))]


def require_numbers(lost: list[str], step: int) -> None:
    """DivergedError when samples have no finite outputs: weights may diverge in the last step before validation."""
    if lost:
        raise DivergedError(
            f"diverged at step {step}: the outputs on val are no numbers; the samples are "
            f"{', '.join(lost[:8])}{' ...' if len(lost) > 8 else ''}. Try a tenth of optim.lr, or optim.clip_norm=1"
        )
