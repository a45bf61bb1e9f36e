"""The metric by which the best epoch is chosen, always on val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from obverse import metrics
from obverse.decisions import decide_array, softmax, to_probabilities, training_prior
from obverse.engines import Outputs
from obverse.recipe import Decode, OutputSpec

PRIOR_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
LOWER_IS_BETTER = metrics.LOWER_IS_BETTER


def selection_value(
    name: str, logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64], *, decode: Decode = "mode"
) -> float:
    """The value of a metric of one class per sample."""
    metric = metrics.metric_of(name)
    if metric.name == "loss":  # from the logits, whose softmax may underflow
        return mean_loss(logits_NK, labels_N)
    probabilities_NK = softmax(logits_NK)
    answers = metrics.OneLabel(
        labels_N, decide_array(probabilities_NK, decode), probabilities_NK, metrics.Units.alone(len(labels_N))
    )
    return metric.value(answers)


def selected_value(name: str, outputs: Outputs, output: OutputSpec) -> float:
    """The value of a metric of a split, of whichever kind of data it is.

    Label sets are read at 1/2, but what needs thresholds is at those that are best here, as it ships.
    """
    truth_NK = outputs.label_sets_NK
    if truth_NK is None:
        return selection_value(name, outputs.logits_NK, outputs.labels_N, decode=output.decode)
    metric, probabilities_NK = metrics.metric_of(name, label_sets=True), to_probabilities(outputs.logits_NK, output)
    needs_thresholds = "thresholds" in metric.needs
    thresholds = np.array(metrics.best_thresholds(truth_NK, probabilities_NK)) if needs_thresholds else 0.5
    units = metrics.Units.alone(len(truth_NK))
    return metric.value(metrics.LabelSets(truth_NK, probabilities_NK >= thresholds, probabilities_NK, units))


def with_best_prior(name: str, outputs: Outputs, *, counts: Sequence[int], decode: Decode) -> Outputs:
    """What the model would say if its prior were tuned on this split: its logits with the best one's logarithm."""
    prior = best_prior(name, outputs.logits_NK, outputs.labels_N, counts=counts, decode=decode)
    return replace(outputs, logits_NK=outputs.logits_NK + np.log(prior, dtype=np.float32))


def best_prior(
    name: str,
    logits_NK: npt.NDArray[np.float32],
    labels_N: npt.NDArray[np.int64],
    *,
    counts: Sequence[int],
    decode: Decode,
) -> tuple[float, ...]:
    """Of the powers of the training frequencies, the one whose logarithm on the logits selects best; shares (K).

    Of equals the first, which is nearest to equal frequencies. Few powers, because val is small and one number is
    enough: a prior of its own for each class would learn val by heart.
    """
    priors = [training_prior(counts, power=power) for power in PRIOR_POWERS]
    values = [
        selection_value(name, logits_NK + np.log(prior, dtype=np.float32), labels_N, decode=decode) for prior in priors
    ]
    best = 0
    for place, value in enumerate(values):
        if is_better(name, value, values[best]):
            best = place
    return priors[best]


def mean_loss(logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64]) -> float:
    """Mean cross entropy in nats."""
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits_NK).double(), torch.from_numpy(labels_N))
    return float(loss)


def is_better(name: str, value: float, best: float | None) -> bool:
    """Whether `value` beats `best`."""
    if best is None:
        return True
    return value < best if name in LOWER_IS_BETTER else value > best
