"""Selection metric: the metric by which the best epoch is chosen on val, and the prior that is tuned by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from obverse import metrics
from obverse.decisions import PLAIN, Kind, LabelSet, in_blocks, to_answers, to_probabilities, training_prior
from obverse.engines import Outputs

# Candidate priors: powers of the training frequencies, from equal frequencies (0) to those of training (1).
PRIOR_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
LOWER_IS_BETTER = metrics.LOWER_IS_BETTER


def selection_value(
    name: str, logits_NK: npt.NDArray[np.float32], truth: npt.NDArray[Any], kind: Kind = PLAIN
) -> float:
    """The value of a metric, from class logits (N, K) and the truth of every sample.

    Label sets are read at thresholds of 1/2. A metric that needs thresholds is computed at the best ones for these
    samples, because the shipped model has tuned thresholds.
    """
    metric = metrics.metric_of(name, label_sets=kind.is_set)
    if metric.name == "loss" and not kind.is_set:  # from the logits, because their softmax may underflow
        return mean_loss(logits_NK, truth)
    probabilities_NK = to_probabilities(logits_NK, kind)
    if kind.is_set:
        needs_thresholds = "thresholds" in metric.needs
        kind = LabelSet(metrics.best_thresholds(truth, probabilities_NK) if needs_thresholds else None)
    answers, units = to_answers(probabilities_NK, kind), metrics.Units.alone(len(truth))
    return metric.value(kind.outcome(truth, answers, probabilities_NK, units))


def with_best_prior(name: str, outputs: Outputs, *, counts: Sequence[int], kind: Kind) -> Outputs:
    """The outputs with a prior tuned on this split: the logarithm of the best prior is added to the logits."""
    prior = best_prior(name, outputs.logits_NK, outputs.truth, counts=counts, kind=kind)
    return replace(outputs, logits_NK=outputs.logits_NK + np.log(prior, dtype=np.float32))


def best_prior(
    name: str,
    logits_NK: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    *,
    counts: Sequence[int],
    kind: Kind,
) -> tuple[float, ...]:
    """The best prior for a metric: class shares (K) that are a power of the training frequencies.

    Ties go to the smallest power, which is nearest to equal frequencies. Only a few powers are tried, because val is
    small: a separately tuned share for every class would over-fit val.
    """
    priors = [training_prior(counts, power=power) for power in PRIOR_POWERS]
    values = [selection_value(name, logits_NK + np.log(prior, dtype=np.float32), labels_N, kind) for prior in priors]
    best = 0
    for place, value in enumerate(values):
        if is_better(name, value, values[best]):
            best = place
    return priors[best]


def mean_loss(logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64]) -> float:
    """Mean cross entropy in nats."""
    logits, labels = torch.from_numpy(logits_NK), torch.from_numpy(labels_N)

    def losses(rows: slice) -> torch.Tensor:
        return cross_entropy(logits[rows].double(), labels[rows], reduction="none")

    return float(in_blocks(losses, *logits.shape).mean())


def is_better(name: str, value: float, best: float | None) -> bool:
    """Whether `value` is better than `best` by the metric; always where `best` is None."""
    if best is None:
        return True
    return value < best if name in LOWER_IS_BETTER else value > best
