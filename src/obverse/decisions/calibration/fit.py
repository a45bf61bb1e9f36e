"""Fit of a calibration's parameters: the least log loss, with a Gaussian prior on every parameter.

All forms are one map: logit k is multiplied by exp(t + d_k) and shifted by b_k. Temperature has t alone (Guo et al.
2017). Platt scaling of two classes adds the shift (Platt 1999), that of label sets a scale and a shift for every class.
Vector scaling has them for the classes of one decision. Scales are positive by construction, so that no form turns the
order of one class's logits around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from obverse.decisions.blocks import in_blocks, row_blocks
from obverse.recipe import CalibrationForm, CalibrationSpec
from obverse.runtime import without_compiler

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
    logits_NK: npt.NDArray[np.floating[Any]],
    truth: npt.NDArray[np.int64] | npt.NDArray[np.bool_],
    *,
    weights_N: FloatArray | None = None,
    strength: float = 1.0,
) -> CalibrationSpec:
    """The calibration of one form with the least penalised log loss.

    truth: class indices (N), or label sets (N, K). weights_N: how much each sample counts; None is 1 for all.
    strength: weight of the priors; 0 is maximum likelihood.
    """
    num_samples, num_classes = logits_NK.shape
    is_set, weights = truth.ndim == 2, np.ones(num_samples) if weights_N is None else weights_N
    has_scales, has_shifts = form == "vector" or (form == "platt" and is_set), form != "temperature"
    with torch.inference_mode(False), torch.enable_grad():
        common = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        scales, shifts = (torch.zeros(num_classes, dtype=torch.float64, requires_grad=True) for _ in range(2))
        free = [common, *[scales] * has_scales, *[shifts] * has_shifts]

        def loss_of(rows: slice) -> torch.Tensor:
            logits, labels = torch.tensor(logits_NK[rows], dtype=torch.float64), torch.tensor(truth[rows])
            losses = _losses(logits * (common + scales).exp() + shifts, labels)
            # Of label sets every class is an observation, of one class per sample every sample is.
            per_sample = (num_classes if is_set else 1) / num_samples
            loss: torch.Tensor = (losses * torch.tensor(weights[rows])).sum() * per_sample
            return loss

        def penalty() -> torch.Tensor:
            own = ((scales**2).sum() + (shifts**2).sum()) / CLASS_SPREAD**2
            loss: torch.Tensor = ((common**2).sum() / SPREAD**2 + own) * (strength / 2 / num_samples)
            return loss

        _minimise([*(partial(loss_of, rows) for rows in row_blocks(num_samples, num_classes)), penalty], free)
        scale = (common + scales).exp().detach() if has_scales else common.exp().detach()
        shift = shifts.detach() if has_shifts else torch.zeros(0)
    return CalibrationSpec(kind=form, scale=_rounded(scale), shift=_rounded(shift), num_samples=num_samples)


def losses_of(
    logits_NK: npt.NDArray[np.floating[Any]],
    truth: npt.NDArray[np.int64] | npt.NDArray[np.bool_],
    spec: CalibrationSpec | None,
) -> FloatArray:
    """Log loss in nats of each sample (N) after a calibration; of label sets the mean over classes."""

    def of(rows: slice) -> torch.Tensor:
        mapped_NK = calibrated(torch.tensor(logits_NK[rows], dtype=torch.float64), spec)
        return _losses(mapped_NK, torch.tensor(truth[rows]))

    losses_N: FloatArray = in_blocks(of, *logits_NK.shape).numpy()
    return losses_N


def _losses(logits_NK: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    if truth.ndim == 1:
        return functional.cross_entropy(logits_NK, truth, reduction="none")
    return functional.binary_cross_entropy_with_logits(logits_NK, truth.double(), reduction="none").mean(1)


def _minimise(terms: Sequence[Callable[[], torch.Tensor]], free: list[torch.Tensor]) -> None:
    """Move the free parameters to the minimum of a sum, whose terms are computed one after the other."""
    optimizer = without_compiler(torch.optim.LBFGS)(
        free, max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        total = 0.0
        for term in terms:
            value = term()
            value.backward()  # type: ignore[no-untyped-call]
            total += float(value.detach())
        return total

    optimizer.step(closure)


def _rounded(values: torch.Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())
