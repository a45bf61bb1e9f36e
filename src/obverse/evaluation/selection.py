"""The metric by which the best epoch is chosen, always on val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from obverse import metrics
from obverse.losses import training_prior
from obverse.recipe import Decode, OutputSpec

from .decoding import decide
from .evaluate import Outputs, softmax, to_probabilities
from .measure import SMALLEST_PROBABILITY

PRIOR_POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
LOWER_IS_BETTER = frozenset({"loss", "mae"})


def selection_value(
    name: str, logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64], *, decode: Decode = "mode"
) -> float:
    """The value of accuracy, balanced_accuracy, macro_f1, loss or mae."""
    if name == "loss":
        return mean_loss(logits_NK, labels_N)
    confusion_KK = metrics.confusion_matrix(
        labels_N, decide(softmax(logits_NK), decode), num_classes=logits_NK.shape[1]
    )
    statistics = {
        "accuracy": metrics.accuracy,
        "balanced_accuracy": metrics.balanced_accuracy,
        "macro_f1": metrics.macro_f1,
        "mae": metrics.mean_absolute_error,
    }
    return float(statistics[name](confusion_KK))


def selected_value(name: str, outputs: Outputs, output: OutputSpec) -> float:
    """`selection_value` of a split, or of its label sets accuracy (of whole sets), macro_f1, map or loss.

    Label sets are read at 1/2, but macro_f1 is at the thresholds that are best here, as it ships.
    """
    truth_NK = outputs.label_sets_NK
    if truth_NK is None:
        return selection_value(name, outputs.logits_NK, outputs.labels_N, decode=output.decode)
    probabilities_NK = to_probabilities(outputs.logits_NK, output)
    if name == "loss":
        return float(binary_loss(probabilities_NK, truth_NK).mean())
    if name == "map":
        return metrics.mean_average_precision(truth_NK, probabilities_NK)
    if name == "accuracy":
        return float(((probabilities_NK >= 0.5) == truth_NK).all(axis=1).mean())
    assert name == "macro_f1"
    answers_NK = probabilities_NK >= np.array(metrics.best_thresholds(truth_NK, probabilities_NK))
    return metrics.set_macro_f1(metrics.set_scores(truth_NK, answers_NK))


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


def binary_loss(probabilities_NK: npt.NDArray[np.float32], truth_NK: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Binary cross entropy in nats of each sample, the mean over classes (N)."""
    right_NK = np.where(truth_NK, probabilities_NK, 1 - probabilities_NK).astype(np.float64)
    losses_N: npt.NDArray[np.float64] = -np.log(np.maximum(right_NK, SMALLEST_PROBABILITY)).mean(axis=1)
    return losses_N


def mean_loss(logits_NK: npt.NDArray[np.float32], labels_N: npt.NDArray[np.int64]) -> float:
    """Mean cross entropy in nats."""
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits_NK).double(), torch.from_numpy(labels_N))
    return float(loss)


def is_better(name: str, value: float, best: float | None) -> bool:
    """Whether `value` beats `best`."""
    if best is None:
        return True
    return value < best if name in LOWER_IS_BETTER else value > best
