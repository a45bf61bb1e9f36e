"""Fit of a calibration's parameters: the least log loss, with a Gaussian prior on every parameter.

All forms are one map: logit k is multiplied by exp(t + d_k) and shifted by b_k. Temperature has t alone (Guo et al.
2017). Platt scaling of two classes adds the shift (Platt 1999), that of label sets a scale and a shift for every class.
Vector scaling has them for the classes of one decision. Scales are positive by construction, so that no form turns the
order of one class's logits around.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from obverse.recipe import CalibrationForm, CalibrationSpec

from .apply import calibrated

FloatArray = npt.NDArray[np.float64]
# Standard deviation of the prior of log t: a temperature of 3 or 1/3 is one deviation away. It keeps the temperature
# finite where every answer on val is right.
SPREAD = 1.0
# The same of each class's own scale and shift. Without it vector scaling overfits (arXiv 2605.30188).
CLASS_SPREAD = 0.5
# Digits of a parameter that are kept: rounding hides the order of the sums.
DIGITS = 6


def fit_form(
    form: CalibrationForm,
    logits_NK: FloatArray,
    truth: npt.NDArray[np.int64] | npt.NDArray[np.bool_],
    *,
    weights_N: FloatArray | None = None,
    strength: float = 1.0,
) -> CalibrationSpec:
    """The calibration of one form with the least penalised log loss.

    truth: class indices (N), or label sets (N, K). weights_N: how much each sample counts; None is 1 for all.
    strength: weight of the priors; 0 is maximum likelihood.
    """
    num_classes, is_set = logits_NK.shape[1], truth.ndim == 2
    has_scales, has_shifts = form == "vector" or (form == "platt" and is_set), form != "temperature"
    with torch.inference_mode(False), torch.enable_grad():
        logits, labels = torch.tensor(logits_NK, dtype=torch.float64), torch.tensor(truth)
        counted = torch.ones(len(logits), dtype=torch.float64) if weights_N is None else torch.tensor(weights_N)
        common = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        scales, shifts = (torch.zeros(num_classes, dtype=torch.float64, requires_grad=True) for _ in range(2))
        free = [common, *[scales] * has_scales, *[shifts] * has_shifts]

        def objective() -> torch.Tensor:
            losses = _losses(logits * (common + scales).exp() + shifts, labels)
            # Of label sets every class is an observation, of one class per sample every sample is.
            total = (losses * counted).sum() * (num_classes if is_set else 1)
            own = ((scales**2).sum() + (shifts**2).sum()) / CLASS_SPREAD**2
            return (total + strength / 2 * ((common**2).sum() / SPREAD**2 + own)) / len(logits)

        _minimise(objective, free)
        scale = (common + scales).exp().detach() if has_scales else common.exp().detach()
        shift = shifts.detach() if has_shifts else torch.zeros(0)
    return CalibrationSpec(kind=form, scale=_rounded(scale), shift=_rounded(shift), num_samples=len(logits_NK))


def losses_of(
    logits_NK: FloatArray, truth: npt.NDArray[np.int64] | npt.NDArray[np.bool_], spec: CalibrationSpec | None
) -> FloatArray:
    """Log loss in nats of each sample (N) after a calibration; of label sets the mean over classes."""
    losses_N: FloatArray = _losses(calibrated(torch.tensor(logits_NK), spec), torch.tensor(truth)).numpy()
    return losses_N


def _losses(logits_NK: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    if truth.ndim == 1:
        return functional.cross_entropy(logits_NK, truth, reduction="none")
    return functional.binary_cross_entropy_with_logits(logits_NK, truth.double(), reduction="none").mean(1)


def _minimise(objective: Callable[[], torch.Tensor], free: list[torch.Tensor]) -> None:
    """Move the free parameters to the minimum."""
    optimizer = torch.optim.LBFGS(
        free, max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        value = objective()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]


def _rounded(values: torch.Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())
